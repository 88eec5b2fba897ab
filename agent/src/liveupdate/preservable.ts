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

/** The mount that an open file is on, and what procfs says of the file; null where procfs does not say. */
async function mountOf(link: string): Promise<{ mount: Mount; info: string } | null> {
  const [, process, fd] = /^(.*)\/fd\/(\d+)$/.exec(link) ?? [];
  if (process === undefined) return null;
  const info = await readFile(`${process}/fdinfo/${fd}`, 'utf8').catch(() => '');
  const id = /^mnt_id:\s*(\d+)$/m.exec(info)?.[1];
  if (id === undefined) return null;
  const mounts = mountsIn(await readFile(`${process}/mountinfo`, 'utf8').catch(() => ''));
  const mount = mounts.find((each) => each.id === id);
  return mount === undefined ? null : { mount, info };
}

/** What is known of a file whose file system is not asked; null of any other file. */
async function unasked(link: string, name: string): Promise<FileDescription | null> {
  // The kernel's own files, and names of sockets and pipes.
  if (!name.startsWith('/') || /^\/(memfd:|dev\/)/.test(name)) return null;
  const found = await mountOf(link);
  if (found === null || !asksOthers.test(found.mount.type)) return null;
  const flags = Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(found.info)?.[1] ?? '0', 8);
  return {
    kind: 'other',
    name: visible(name),
    size: null,
    inode: Number(/^ino:\s*(\d+)$/m.exec(found.info)?.[1] ?? 0),
    device: deviceNumber(found.mount.device),
    regular: (flags & directoryFlag) === 0,
    characterDevice: null,
  };
}

/**
 * Describes an open file through its link in procfs.
 *
 * @param link for example `/proc/1234/fd/7`.
 * @throws the file system's error if the process or the descriptor is gone, or may not be looked at.
 */
export async function describeFile(link: string): Promise<FileDescription> {
  const name = await readlink(link);
  const known = await unasked(link, name);
  if (known !== null) return known;
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
  const type = (await statfs(link)).type >>> 0;
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
