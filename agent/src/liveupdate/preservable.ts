// SPDX-License-Identifier: Apache-2.0
/**
 * The kind of file behind a descriptor, as far as live update cares. The kernel takes shared memory that no directory
 * names any more (`mm/memfd_luo.c`: a memfd or an unlinked tmpfs file, not hugetlb). The kind comes from the link in
 * `/proc/PID/fd`, which names a memfd, and from statfs on it, which names the file system.
 */
import { readlink, stat, statfs } from 'node:fs/promises';
import { visible } from '../host/plain-words.ts';
import type { Kind } from '../interface/agent.generated.ts';

// include/uapi/linux/magic.h
const tmpfsMagic = 0x01021994;
const hugetlbMagic = 0x958458f6;

export interface FileDescription {
  readonly kind: Kind;
  /** What the link says, for example `/memfd:guest (deleted)`, made harmless: a memfd can be called anything. */
  readonly name: string;
  readonly size: number;
  readonly inode: number;
  readonly device: number;
  /** A regular file, as opposed to a directory, a device, a socket. */
  readonly regular: boolean;
  /** The device that it is, as `st_rdev` of stat(2); null unless it is a character device. */
  readonly characterDevice: number | null;
}

/**
 * Describes an open file through its link in procfs.
 *
 * @param link for example `/proc/1234/fd/7`.
 * @throws the file system's error if the process or the descriptor is gone, or may not be looked at.
 */
export async function describeFile(link: string): Promise<FileDescription> {
  const name = await readlink(link);
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
