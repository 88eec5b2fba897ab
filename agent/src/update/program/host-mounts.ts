// SPDX-License-Identifier: Apache-2.0
/**
 * The host's mounts, as process 1 has them: which ones a path leads through, and whether each comes back by itself when
 * the host boots. Paths are looked at and never opened, as the VMM sees them.
 */
import { readFile, readlink, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fstabIn, mountsIn } from '../../host/mounts.ts';
import { errnoOf } from '../../host/refusal.ts';
import { seenBy } from '../../host/seen-by.ts';
import { isWithin } from './named-paths.ts';

/** The root, and what the carrier mounts by itself. */
const first: ReadonlySet<string> = new Set(['/', '/dev', '/proc', '/sys', '/run']);
/** Of the kernel's own file systems nothing is waited for. */
const ofKernel = ['/proc', '/sys', '/dev/pts'];
/** systemd mounts it before it reads a unit (`mount_table`, src/shared/mount-setup.c). */
const ofManager = '/dev/shm';

/** Where units of mounts are, the directory first that counts first (systemd.unit(5)). */
const unitDirectories = [
  '/etc/systemd/system',
  '/run/systemd/generator',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
  '/lib/systemd/system',
  '/run/systemd/generator.late',
];

/** The kernel follows no more of them in a path (MAXSYMLINKS, include/linux/namei.h). */
const mostLinks = 40;

export class HostMounts {
  readonly #proc: string;
  readonly #points: ReadonlySet<string>;
  /** By mount point: options of its line in `/etc/fstab`. */
  readonly #fstab: ReadonlyMap<string, readonly string[]>;

  private constructor(proc: string, mountinfo: string, fstab: string) {
    this.#proc = proc;
    this.#points = new Set(mountsIn(mountinfo).map(({ point }) => point));
    this.#fstab = new Map(fstabIn(fstab).map(({ point, options }) => [point, options]));
  }

  /** @throws SystemError if the mounts of process 1 cannot be read */
  static async read(proc: string): Promise<HostMounts> {
    const fstab = await readFile(seenBy(proc, 1, '/etc/fstab'), 'utf8').catch(() => '');
    return new HostMounts(proc, await readFile(`${proc}/1/mountinfo`, 'utf8'), fstab);
  }

  /** Mount points on the way to a path that has no links, outermost first. It may be one itself. */
  above(path: string): string[] {
    const found: string[] = [];
    for (let at = path; at !== '/' && at !== '.'; at = dirname(at)) this.#add(at, found);
    return found.reverse();
  }

  /** The same of a path with links, each of which leads on from where it is. */
  async onTheWay(pid: number, path: string): Promise<string[]> {
    const found: string[] = [];
    let [at, links, there] = ['', 0, true];
    for (let rest = partsOf(path); rest.length > 0; ) {
      const [next = '', ...onward] = rest;
      rest = onward;
      if (next === '..') at = at.slice(0, Math.max(0, at.lastIndexOf('/')));
      else {
        const here = `${at}/${next}`;
        const target = there && links < mostLinks ? await this.#linkAt(pid, here) : null;
        // Nothing is behind what is not there.
        if (target === undefined) there = false;
        if (typeof target === 'string') {
          links += 1;
          rest = [...partsOf(target), ...rest];
          if (target.startsWith('/')) at = '';
        } else {
          at = here;
          this.#add(at, found);
        }
      }
    }
    return found;
  }

  /** Whether the host mounts there by itself when it boots. */
  async comesBack(point: string): Promise<boolean> {
    if (point === ofManager) return true;
    const options = this.#fstab.get(point);
    // With an automount, whoever looks there has it mounted.
    if (options) return !options.includes('noauto') || options.includes('x-systemd.automount');
    for (const directory of unitDirectories) {
      const unit = `${directory}/${mountUnitOf(point)}`;
      const facts = await stat(seenBy(this.#proc, 1, unit)).catch(() => null);
      // A unit that is masked is a link to /dev/null.
      if (facts !== null) return facts.isFile();
    }
    return false;
  }

  #add(at: string, found: string[]): void {
    if (!this.#points.has(at) || first.has(at) || found.includes(at)) return;
    if (!ofKernel.some((each) => isWithin(at, each))) found.push(at);
  }

  /** @returns what a link says; null if it is none, undefined if nothing is there */
  async #linkAt(pid: number, path: string): Promise<string | null | undefined> {
    try {
      return await readlink(seenBy(this.#proc, pid, path));
    } catch (error) {
      return errnoOf(error) === 'ENOENT' ? undefined : null;
    }
  }
}

const partsOf = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.');

/** The name that a mount's unit must have (systemd.mount(5)), for example `srv-my\x2ddata.mount`. */
export function mountUnitOf(point: string): string {
  const bytes = Buffer.from(partsOf(point).join('/'));
  const name = [...bytes].map((byte, index) => {
    const letter = String.fromCharCode(byte);
    if (letter === '/') return '-';
    const plain = /[A-Za-z0-9:_.]/.test(letter) && !(letter === '.' && index === 0);
    return plain ? letter : `\\x${byte.toString(16).padStart(2, '0')}`;
  });
  return `${name.join('')}.mount`;
}
