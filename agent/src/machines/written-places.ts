// SPDX-License-Identifier: Apache-2.0
/**
 * Where a VMM writes to: the file systems of the files that it has open for writing, and its block devices. The node of
 * a block device may be on any file system. The kernel is asked through procfs and through the open files themselves,
 * which never waits for a file system as `stat` of a path does.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { accessMode } from '../host/access-mode.ts';
import { type Mount, mountsIn } from '../host/mounts.ts';
import { visible } from '../host/plain-words.ts';
import { descriptorLinks } from './open-files.ts';
import { isPlace } from './vmm-file-kind.ts';

/** A file system or a block device that a VMM writes to, with a descriptor that leads there. */
export interface WrittenPlace {
  /** `unknown` where no mount is listed, or the file cannot be asked: it may be either. */
  readonly kind: 'file system' | 'block device' | 'unknown';
  /** Tells it from others. A file system has the number of its device as mountinfo shows it: `file system 254:0`. */
  readonly key: string;
  /** What people call it, for example "the file system ext4 at /srv". */
  readonly name: string;
  readonly fd: number;
  /** What tells the open file from others, whatever number it has (`openedFile`). */
  readonly file: string;
}

/** How processes and their open files are asked. */
export interface PlaceSources {
  /** Where procfs is mounted. */
  readonly proc: string;
  /**
   * The number of the block device that a process's open file is; null if it is something else, or closed by now.
   *
   * @throws what keeps it from being known
   */
  blockDevice(pid: number, fd: number): bigint | null;
}

/** Nothing on a file system of these types is on a disk. */
const inMemory: ReadonlySet<string> = new Set(['devtmpfs', 'tmpfs', 'ramfs', 'hugetlbfs']);
/** The kernel's own files. */
const ofKernel: ReadonlySet<string> = new Set(['proc', 'sysfs', 'cgroup', 'cgroup2', 'debugfs', 'tracefs']);

/** The key of the file system that a file is on: the kernel's number taken apart as `gnu_dev_major` does. */
export function fileSystemKey({ dev }: { readonly dev: number }): string {
  const number = BigInt(dev);
  const major = ((number >> 8n) & 0xfffn) | ((number >> 32n) & ~0xfffn);
  const minor = (number & 0xffn) | ((number >> 12n) & 0xffff_ff00n);
  return `file system ${major}:${minor}`;
}

/**
 * What tells a process's open file from others: its mount and its path. Procfs says both without asking the file system.
 * At once, because machines may be stopped: the threads on which files are read otherwise are everybody's.
 *
 * @param own the process's directory in procfs
 * @returns null if there is none of that number
 */
export function openedFile(own: string, fd: number): string | null {
  try {
    const mount = mountIdIn(readFileSync(`${own}/fdinfo/${fd}`, 'utf8'));
    return `${mount} ${readlinkSync(`${own}/fd/${fd}`)}`;
  } catch {
    return null;
  }
}

/** Programs that write for a VMM, which has a connection to them: QEMU's storage daemon, NBD servers, virtiofsd. */
const byOthers = /\bvhost-user|\bnbd\b|\bvirtiofs/i;

/** Whether other processes may write for a VMM. Where they write to is not known. @param words its command line */
export const writesByOthers = (words: readonly string[]): boolean =>
  words.some((word) => byOthers.test(word));

/** Each place once. A process that has ended has none. */
export async function writtenPlaces(sources: PlaceSources, pid: number): Promise<WrittenPlace[]> {
  const { proc } = sources;
  const mountinfo = await readFile(`${proc}/${pid}/mountinfo`, 'utf8').catch(() => '');
  const mounts = new Map(mountsIn(mountinfo).map((mount) => [mount.id, mount]));
  const found = new Map<string, WrittenPlace>();
  for (const { fd, name } of await descriptorLinks(proc, pid)) {
    // A memfd has a name like a path.
    if (!isPlace(name) || name.startsWith('/memfd:')) continue;
    const info = await readFile(`${proc}/${pid}/fdinfo/${fd}`, 'utf8').catch(() => '');
    const place = isWritten(info) ? placeOf(sources, pid, { fd, name }, mounts, info) : null;
    if (place !== null && !found.has(place.key)) found.set(place.key, place);
  }
  return [...found.values()];
}

function placeOf(
  { blockDevice }: PlaceSources,
  pid: number,
  { fd, name }: { readonly fd: number; readonly name: string },
  mounts: ReadonlyMap<string, Mount>,
  info: string,
): WrittenPlace | null {
  const id = mountIdIn(info);
  const mount = mounts.get(id);
  const file = `${id} ${name}`;
  const unknown: WrittenPlace = { kind: 'unknown', key: `mount ${id}`, name: visible(name), fd, file };
  let device: bigint | null;
  try {
    device = blockDevice(pid, fd);
  } catch {
    return unknown;
  }
  if (device !== null) {
    const shown = `the block device ${visible(name)}`;
    return { kind: 'block device', key: `block device ${device}`, name: shown, fd, file };
  }
  // One that was unmounted lazily, or opened in another mount namespace, is in no list. It is written to all the same.
  if (mount === undefined) return unknown;
  const { point, type } = mount;
  if (ofKernel.has(type) || inMemory.has(type)) return null;
  const shown = `the file system ${visible(type)} at ${visible(point)}`;
  return { kind: 'file system', key: `file system ${mount.device}`, name: shown, fd, file };
}

const mountIdIn = (info: string): string => /^mnt_id:\s*(\d+)$/m.exec(info)?.[1] ?? '';

const isWritten = (info: string): boolean => ['write', 'both'].includes(accessMode(info) ?? '');
