// SPDX-License-Identifier: Apache-2.0
/** Processes that never were, as a tree like procfs's in a temporary directory, in memory as there. */
import { mkdirSync, mkdtempSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { standIns } from '../host/stand-ins.fixture.ts';
import type { QmpOptions } from '../qemu/qmp-client.ts';
import type { BlockFilesAnswer } from './block-files.ts';
import type { MachineSources } from './describe-machine.ts';
import type { LinkedFile } from './open-files.ts';

export interface MadeUpProcess {
  readonly pid: number;
  readonly words: readonly string[];
  /** Clock ticks since boot. */
  readonly startTime?: number;
  /** What each descriptor's link says. */
  readonly fds?: Readonly<Record<number, string>>;
  /** Lines of its memory map. */
  readonly maps?: readonly string[];
  /** Lines of its network namespace's Unix sockets. */
  readonly sockets?: readonly string[];
  readonly fdinfo?: Readonly<Record<number, string>>;
}

/** A line of `/proc/PID/net/unix`. */
export const unixLine = (inode: number, path: string, listens = false): string =>
  `0000000000000000: 00000002 00000000 ${listens ? '00010000' : '00000000'} 0001 ${listens ? '01' : '03'} ${inode} ${path}`;

/** A line of a memory map: a file mapped shared, or privately. */
export const mapLine = (name: string, inode: number, bytes: number, how: 's' | 'p' = 's'): string =>
  `10000000-${(0x10000000 + bytes).toString(16)} rw-${how} 00000000 00:01 ${inode}                     ${name}`;

export class MadeUpProc implements Disposable {
  readonly directory = mkdtempSync('/dev/shm/luo-proc-');
  /** What is found behind a link with this text; the device is the one `mapLine` names. */
  readonly files = new Map<string, Partial<LinkedFile>>();
  /** What happens before a link is followed. */
  beforeDescribe: () => void = () => {};
  /** Who listens at a path, other than this process. */
  readonly peers = new Map<string, number>();
  /** How long to wait for a monitor. */
  qmp: QmpOptions = {};

  add({ pid, words, startTime = 777, fds = {}, maps = [], sockets = [], fdinfo = {} }: MadeUpProcess): void {
    const at = (name: string): string => join(this.directory, String(pid), name);
    for (const name of ['fd', 'fdinfo', 'net']) mkdirSync(at(name), { recursive: true });
    writeFileSync(at('stat'), `${pid} (odd) name) S 1 ${'0 '.repeat(17)}${startTime} 0\n`);
    writeFileSync(at('cmdline'), words.map((word) => `${word}\0`).join(''));
    writeFileSync(at('comm'), `${words[0]?.slice(0, 15)}\n`);
    symlinkSync(`/usr/bin/${words[0]}`, at('exe'));
    symlinkSync('/', at('root'));
    for (const [fd, link] of Object.entries(fds)) symlinkSync(link, at(`fd/${fd}`));
    for (const [fd, text] of Object.entries(fdinfo)) writeFileSync(at(`fdinfo/${fd}`), text);
    writeFileSync(at('maps'), `${maps.join('\n')}\n`);
    writeFileSync(at('net/unix'), `Num RefCount Protocol Flags Type St Inode Path\n${sockets.join('\n')}\n`);
  }

  end(pid: number): void {
    rmSync(join(this.directory, String(pid)), { recursive: true });
  }

  /** What VMMs have said of their block nodes, by pid. */
  readonly blockFiles = new Map<number, BlockFilesAnswer>();

  /** What the inventory reads from, with a kernel that has a handler for memfds only. */
  get sources(): MachineSources {
    return {
      proc: this.directory,
      sys: join(this.directory, 'sys'),
      describe: async (link) => {
        this.beforeDescribe();
        const name = readlinkSync(link);
        const file = this.files.get(name);
        if (!file) throw new Error(`nothing is known of ${name}`);
        return {
          kind: 'other',
          name,
          size: 0,
          inode: 1,
          device: 1,
          regular: true,
          characterDevice: null,
          ...file,
        };
      },
      whereIs: ({ ino }) => (ino === 999n ? { session: 'kept', token: '0x5' } : null),
      commandOf: async (pid) => (pid === 1 ? 'init' : 'qemu-system-x86'),
      userOf: () => 'root',
      adoptionOf: () => null,
      rehearsalOf: async () => null,
      isRehearsed: () => false,
      heardBlockFiles: ({ pid }, answer) => void this.blockFiles.set(pid, answer),
      needsOf: async () => ({ needs: null, obstacle: null }),
      sealsOf: () => 0,
      mayAskMonitors: () => true,
      askKernel: async (kind) => {
        if (kind === 'memfd') return { accepts: true, errno: null };
        return kind.startsWith('kvm_') ? { accepts: false, errno: 'ENOENT' } : null;
      },
      sockets: standIns(this.peers),
      qmp: this.qmp,
    };
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true });
  }
}
