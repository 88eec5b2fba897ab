// SPDX-License-Identifier: Apache-2.0
/**
 * A file in a session, before and after the kexec.
 *
 * Only shmem files without a link can be preserved: memfds and unlinked tmpfs files, not hugetlb (Linux 7.3,
 * `memfd_luo_can_preserve`). Across the kexec contents, size, position and seals survive; the name does not, and
 * the inode is another. The double copies the file into a nameless memfd to make that so. What it cannot do is
 * hold the size of a preserved file fixed: only the kernel can freeze a file for a while.
 */
import { readFileSync, readSync, statfsSync } from 'node:fs';
import type { Descriptor, FdLike } from '../face.ts';
import { memory } from '../memory.ts';
import { coOwn, identityOf } from './handle.ts';

/** `TMPFS_MAGIC` (statfs(2)): shmem, memfds included, as opposed to hugetlb. */
const tmpfsMagic = 0x01021994;

/** `S_IFMT` and `S_IFREG` (inode(7)). */
const typeMask = 0o170000;
const regularFile = 0o100000;

/** F_SEAL_SEAL, SHRINK, GROW, WRITE, FUTURE_WRITE and EXEC (fcntl(2)): those `memfd-v2` carries over. */
const knownSeals = 0x3f;

const pieceBytes = 1 << 20;

/** Whether the kernel has a handler for this kind of file. */
export function hasHandler(file: FdLike): boolean {
  const { mode, nlink } = memory.fileFacts(file);
  if ((mode & typeMask) !== regularFile || nlink !== 0) return false;
  const fd = typeof file === 'number' ? file : file.fd;
  return statfsSync(`/proc/self/fd/${fd}`).type === tmpfsMagic;
}

/** Whether the handler could hand over every seal of this file. */
export function sealsAreKnown(file: FdLike): boolean {
  return (memory.getSeals(file) & ~knownSeals) === 0;
}

function positionOf(fd: number): bigint {
  const line = /^pos:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'));
  return BigInt(line?.[1] ?? 0);
}

/** Moves the position of a fresh file forward by reading, the only way Node offers. */
function setPosition(file: Descriptor, position: bigint, size: bigint): void {
  if (position > size) memory.truncate(file, position);
  const scratch = Buffer.allocUnsafe(pieceBytes);
  for (let left = position; left > 0n; ) {
    const wanted = left < BigInt(pieceBytes) ? Number(left) : pieceBytes;
    left -= BigInt(readSync(file.fd, scratch, 0, wanted, null));
  }
  if (position > size) memory.truncate(file, size);
}

function copyOf(file: Descriptor): Descriptor {
  const { size } = memory.fileFacts(file);
  const copy = memory.memfdCreate('', { allowSealing: true });
  memory.truncate(copy, size);
  for (let offset = 0n; offset < size; offset += BigInt(pieceBytes)) {
    const piece = memory.read(file, offset, pieceBytes);
    if (piece.length > 0) memory.write(copy, offset, piece);
  }
  setPosition(copy, positionOf(file.fd), size);
  memory.addSeals(copy, memory.getSeals(file));
  return copy;
}

export class KeptFile {
  readonly #file: Descriptor;
  readonly identity: string;
  /** Whether somebody in the next kernel has it. */
  retrieved = false;

  private constructor(file: Descriptor) {
    this.#file = file;
    this.identity = identityOf(file);
  }

  /** Becomes co-owner of `file`, as a session does. */
  static preserve(file: FdLike): KeptFile {
    return new KeptFile(coOwn(file));
  }

  /** A descriptor of the file for the caller: the same open file each time. */
  retrieve(): Descriptor {
    this.retrieved = true;
    return coOwn(this.#file);
  }

  /** This file as the next kernel finds it; the old one is let go. */
  handOver(): KeptFile {
    const next = new KeptFile(copyOf(this.#file));
    this.drop();
    return next;
  }

  drop(): void {
    this.#file.close();
  }
}
