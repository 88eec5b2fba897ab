// SPDX-License-Identifier: Apache-2.0
/** Copies of the files that a VMM has open, which it may close while they are asked for. */
import type { Descriptor, Native } from '@luo-console/native';
import { Refusal } from '../host/refusal.ts';

/** How files are had. */
export interface TakeContext {
  readonly native: Pick<Native, 'memory'>;
  /** A copy of a process's descriptor. @throws Refusal */
  take(pid: number, fd: number): Descriptor;
}

/** With what taking a file is refused that was closed. */
const ofClosed: readonly string[] = ['NoSuchProcess', 'NoSuchDescriptor'];

/** `S_IFMT` and `S_IFBLK` (inode(7)). */
const [typeMask, blockDeviceType] = [0o170000, 0o060000];

/**
 * A copy of a process's file, which the caller closes.
 *
 * @returns null if it is closed by now
 * @throws Refusal if it cannot be had for another reason
 */
export function takeUnlessClosed(
  { take }: Pick<TakeContext, 'take'>,
  pid: number,
  fd: number,
): Descriptor | null {
  try {
    return take(pid, fd);
  } catch (error) {
    if (error instanceof Refusal && ofClosed.includes(error.refusal)) return null;
    throw error;
  }
}

/**
 * The number of the block device that a process's open file is; null if it is something else, or closed by now.
 *
 * @throws Refusal if the file cannot be had
 */
export function blockDeviceOf(context: TakeContext, pid: number, fd: number): bigint | null {
  using file = takeUnlessClosed(context, pid, fd);
  if (file === null) return null;
  const { mode, rdev } = context.native.memory.fileFacts(file);
  return (mode & typeMask) === blockDeviceType ? rdev : null;
}
