// SPDX-License-Identifier: Apache-2.0
/**
 * The kind of file behind a descriptor, as far as live update cares. The kernel takes shared memory that no directory
 * names any more (`mm/memfd_luo.c`: a memfd or an unlinked tmpfs file, not hugetlb). The kind comes from the link in
 * `/proc/PID/fd`, which names a memfd, and from statfs on it, which names the file system. A file system that has to ask
 * a server or another program may never answer, and one of libuv's four threads would wait for ever. So it is not asked.
 */
import { readFile, readlink, stat, statfs } from 'node:fs/promises';
import { type Mount, mountsIn } from '../host/mounts.ts';
import { visible } from '../host/plain-words.ts';
import type { Kind } from '../interface/agent.generated.ts';

// include/uapi/linux/magic.h
const tmpfsMagic = 0x01021994;
const hugetlbMagic = 0x958458f6;

export interface FileDescription {
  readonly kind: Kind;
  /** What the link says, for example `/memfd:guest (deleted)`, made harmless: a memfd can be called anything. */
  readonly name: string;
  /** In bytes; null if its file system was not asked. */
  readonly size: number | null;
  readonly inode: number;
  readonly device: number;
  /** A regular file, as opposed to a directory, a device, a socket. */
  readonly regular: boolean;
  /** The device that it is, as `st_rdev` of stat(2); null unless it is a character device. */
  readonly characterDevice: number | null;
}

/** File systems that ask a server, or a program of a user, before they say anything of a file. */
const asksOthers =
  /^(nfs\d?|cifs|smb3|smbfs|ceph|9p|virtiofs|afs|lustre|pvfs2|coda|gfs2|ocfs2|fuse(blk|\..+)?)$/;

/** `O_DIRECTORY` as `fdinfo` shows it (`include/uapi/asm-generic/fcntl.h`). */
const directoryFlag = 0o200000;

/** The kernel's number of a device, for example `254:0`, as `st_dev` has it (`new_encode_dev`). */
function deviceNumber(device: string): number {
  const [major = 0, minor = 0] = device.split(':').map(Number);
  return major * 256 + (minor & 0xff) + (minor - (minor & 0xff)) * 4096;
}

const read = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');

/** The first mount of this kind that the process sees, or the agent. A file may have come from another namespace. */
async function mountWhere(process: string, isIt: (mount: Mount) => boolean): Promise<Mount | null> {
  const own = `${process.replace(/\/[^/]+$/, '')}/self`;
  for (const from of [process, own]) {
    const mount = mountsIn(await read(`${from}/mountinfo`)).find(isIt);
    if (mount !== undefined) return mount;
  }
  return null;
}

/** What procfs says of an open or mapped file without asking its file system. */
interface Placed {
  /** Null if neither the process nor the agent sees it. */
  readonly mount: Mount | null;
  readonly inode: number;
  readonly isDirectory: boolean;
}

/** @returns null if procfs does not say, as of a process that has ended */
async function placed(link: string): Promise<Placed | null> {
  const [, process = '', kind, which = ''] = /^(.*)\/(fd|map_files)\/([^/]+)$/.exec(link) ?? [];
  if (kind === 'fd') {
    const info = await read(`${process}/fdinfo/${which}`);
    const id = /^mnt_id:\s*(\d+)$/m.exec(info)?.[1];
    if (id === undefined) return null;
    const flags = Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(info)?.[1] ?? '0', 8);
    return {
      mount: await mountWhere(process, (each) => each.id === id),
      inode: Number(/^ino:\s*(\d+)$/m.exec(info)?.[1] ?? 0),
      isDirectory: (flags & directoryFlag) !== 0,
    };
  }
  if (kind !== 'map_files') return null;
  const line = (await read(`${process}/maps`)).split('\n').find((each) => each.startsWith(`${which} `));
  const [, major = '', minor = '', inode] = / ([0-9a-f]+):([0-9a-f]+) (\d+) /.exec(line ?? '') ?? [];
  if (inode === undefined) return null;
  const device = [major, minor].map((each) => Number.parseInt(each, 16)).join(':');
  const mount = await mountWhere(process, (each) => each.device === device);
  return { mount, inode: Number(inode), isDirectory: false };
}

/** What is known of a file whose file system is not asked; null of any other file. */
async function unasked(link: string, name: string): Promise<FileDescription | null> {
  // The kernel's own files, and names of sockets and pipes.
  if (!name.startsWith('/') || /^\/(memfd:|dev\/)/.test(name)) return null;
  const found = await placed(link);
  // Memory of the kernel's own, such as a memfd without a name, is on a mount that nobody sees. That one answers.
  if (found === null || found.mount === null || !asksOthers.test(found.mount.type)) return null;
  return {
    kind: 'other',
    name: visible(name),
    size: null,
    inode: found.inode,
    device: deviceNumber(found.mount.device),
    regular: !found.isDirectory,
    characterDevice: null,
  };
}

/** Kinds of file systems, as statfs(2) says them, by the device of each. */
export type KnownFileSystems = Map<number, Promise<number>>;

/**
 * Describes an open file through its link in procfs.
 *
 * @param link for example `/proc/1234/fd/7`.
 * @param known of other files that are looked at with it, and stay open: a device may become another's later
 * @throws the file system's error if the process or the descriptor is gone, or may not be looked at.
 */
export async function describeFile(
  link: string,
  known: KnownFileSystems = new Map(),
): Promise<FileDescription> {
  const name = await readlink(link);
  const unaskedFile = await unasked(link, name);
  if (unaskedFile !== null) return unaskedFile;
  const facts = await stat(link);
  const regular = facts.isFile();
  const base = {
    name: visible(name),
    size: facts.size,
    inode: facts.ino,
    device: facts.dev,
    regular,
    characterDevice: facts.isCharacterDevice() ? facts.rdev : null,
  };
  if (!regular) return { ...base, kind: 'other' };
  const asked = known.get(facts.dev) ?? statfs(link).then(({ type: number }) => number >>> 0);
  known.set(facts.dev, asked);
  const type = await asked;
  if (type === hugetlbMagic) return { ...base, kind: 'hugetlb' };
  if (type !== tmpfsMagic) return { ...base, kind: 'other' };
  if (name.startsWith('/memfd:')) return { ...base, kind: 'memfd' };
  return { ...base, kind: facts.nlink === 0 ? 'tmpfs_unlinked' : 'tmpfs_linked' };
}

/** Why the kernel does not take a file of this kind, for people. */
export function whyNotPreservable(kind: Kind): string {
  switch (kind) {
    case 'tmpfs_linked':
      return 'the kernel preserves a tmpfs file only once it is unlinked (link count 0)';
    case 'hugetlb':
      return 'this kernel has no handler for files backed by huge pages of hugetlbfs';
    case 'other':
      return 'this kernel has no handler for this kind of file; it preserves memfds and unlinked tmpfs files';
    default:
      return 'the kernel refused it; it may carry seals that the kernel does not know';
  }
}
