// SPDX-License-Identifier: Apache-2.0
/**
 * Where a VMM writes to: the file systems of the files that it has open for writing, and its block devices. The kernel
 * is asked through procfs, which never waits for a file system as `stat` does. Only what lies on a file system in memory
 * is looked at further, because block devices have their nodes there.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { visible } from '../host/plain-words.ts';
import { descriptorLinks } from './open-files.ts';
import { isPlace } from './vmm-file-kind.ts';

/** A file system or a block device that a VMM writes to, with a descriptor that leads there. */
export interface WrittenPlace {
  /** `unknown` where no mount is listed: it may be either. */
  readonly kind: 'file system' | 'block device' | 'unknown';
  /** Tells it from others. A file system has the number of its device as mountinfo shows it: `file system 254:0`. */
  readonly key: string;
  /** What people call it, for example "the file system ext4 at /srv". */
  readonly name: string;
  readonly fd: number;
  /** What tells the open file from others, whatever number it has (`isOpenedFile`). */
  readonly file: string;
}

/** A mount as a process sees it (proc_pid_mountinfo(5)). */
interface Mount {
  readonly device: string;
  readonly point: string;
  readonly type: string;
}

/** Nothing on a file system of these types is on a disk; nodes of block devices may be. */
const inMemory: ReadonlySet<string> = new Set(['devtmpfs', 'tmpfs', 'ramfs', 'hugetlbfs']);
/** The kernel's own files. */
const ofKernel: ReadonlySet<string> = new Set(['proc', 'sysfs', 'cgroup', 'cgroup2', 'debugfs', 'tracefs']);

/**
 * Whether a process's open file is the one of a written place. Procfs tells its mount and its path without asking the
 * file system, so this does not wait: machines are stopped.
 *
 * @param own the process's directory in procfs
 * @returns false if there is none of that number
 */
export function isOpenedFile(own: string, fd: number, { file }: Pick<WrittenPlace, 'file'>): boolean {
  try {
    const name = readlinkSync(`${own}/fd/${fd}`);
    return (
      file.endsWith(` ${name}`) &&
      file === `${mountIdIn(readFileSync(`${own}/fdinfo/${fd}`, 'utf8'))} ${name}`
    );
  } catch {
    return false;
  }
}

/** Programs that write for a VMM, which has a connection to them: QEMU's storage daemon, NBD servers, virtiofsd. */
const byOthers = /\bvhost-user|\bnbd\b|\bvirtiofs/i;

/** Whether other processes may write for a VMM. Where they write to is not known. @param words its command line */
export const writesByOthers = (words: readonly string[]): boolean =>
  words.some((word) => byOthers.test(word));

/** Each place once. A process that has ended has none. */
export async function writtenPlaces(proc: string, pid: number): Promise<WrittenPlace[]> {
  const mounts = mountsIn(await readFile(`${proc}/${pid}/mountinfo`, 'utf8').catch(() => ''));
  const found = new Map<string, WrittenPlace>();
  for (const { fd, name } of await descriptorLinks(proc, pid)) {
    // A memfd has a name like a path.
    if (!isPlace(name) || name.startsWith('/memfd:')) continue;
    const info = await readFile(`${proc}/${pid}/fdinfo/${fd}`, 'utf8').catch(() => '');
    const place = isWritten(info) ? await placeOf(proc, pid, { fd, name }, mounts, info) : null;
    if (place !== null && !found.has(place.key)) found.set(place.key, place);
  }
  return [...found.values()];
}

async function placeOf(
  proc: string,
  pid: number,
  { fd, name }: { readonly fd: number; readonly name: string },
  mounts: ReadonlyMap<string, Mount>,
  info: string,
): Promise<WrittenPlace | null> {
  const id = mountIdIn(info);
  const mount = mounts.get(id);
  const file = `${id} ${name}`;
  // One that was unmounted lazily, or opened in another mount namespace, is in no list. It is written to all the same.
  if (mount === undefined) return { kind: 'unknown', key: `mount ${id}`, name: visible(name), fd, file };
  const { device, point, type } = mount;
  if (ofKernel.has(type)) return null;
  if (!inMemory.has(type)) {
    const shown = `the file system ${visible(type)} at ${visible(point)}`;
    return { kind: 'file system', key: `file system ${device}`, name: shown, fd, file };
  }
  const facts = await stat(`${proc}/${pid}/fd/${fd}`).catch(() => null);
  if (!facts?.isBlockDevice()) return null;
  return {
    ...{ kind: 'block device', key: `block device ${facts.rdev}`, fd, file },
    name: `the block device ${visible(name)}`,
  };
}

const mountIdIn = (info: string): string => /^mnt_id:\s*(\d+)$/m.exec(info)?.[1] ?? '';

/** O_WRONLY or O_RDWR among the flags, which are octal (proc_pid_fdinfo(5)). */
function isWritten(info: string): boolean {
  const flags = /^flags:\s*([0-7]+)$/m.exec(info)?.[1];
  return flags !== undefined && (Number.parseInt(flags, 8) & 3) !== 0;
}

/** Mounts by their ids. */
function mountsIn(mountinfo: string): Map<string, Mount> {
  return new Map(
    mountinfo.split('\n').flatMap((line): [string, Mount][] => {
      const [id = '', , device, , point] = line.split(' ');
      const type = / - (\S+) /.exec(line)?.[1];
      return device && point && type ? [[id, { device, point, type }]] : [];
    }),
  );
}
