// SPDX-License-Identifier: Apache-2.0
/**
 * Writes out what a machine has written to its disks, while it runs. QEMU does that when it stops a guest, however long it
 * takes, and nothing can end it then. What little comes after this takes no time.
 */
import type { Descriptor, Native } from '@luo-console/native';
import { inTime } from '../host/in-time.ts';
import type { HostPaths } from '../host/paths.ts';
import { Refusal } from '../host/refusal.ts';
import { saidBy } from '../host/said-by.ts';
import { writtenPlaces } from '../machines/written-places.ts';

interface WriteOutContext {
  readonly native: Native;
  readonly paths: Pick<HostPaths, 'proc'>;
  /** @throws Refusal if the process has no such descriptor any more */
  take(pid: number, fd: number): Descriptor;
}

/** How long each place may take, in ms. */
const limitMs = 10_000;

/** Of a file's mode, as inode(7) has it. */
const typeMask = 0o170_000;
const blockDeviceType = 0o060_000;

/**
 * @param pid of the VMM
 * @param signal ends the wait
 * @returns why not all of it could be written in time; null if it was
 * @throws the signal's reason
 */
export async function writeOut(
  { native, paths, take }: WriteOutContext,
  pid: number,
  signal: AbortSignal,
): Promise<string | null> {
  const taken = (fd: number): Descriptor | null => {
    try {
      return take(pid, fd);
    } catch (error) {
      // It has closed it since.
      if (error instanceof Refusal) return null;
      throw error;
    }
  };
  const blockDevice = (_pid: number, fd: number): bigint | null => {
    using file = taken(fd);
    if (file === null) return null;
    const { mode, rdev } = native.memory.fileFacts(file);
    return (mode & typeMask) === blockDeviceType ? rdev : null;
  };
  try {
    const places = await writtenPlaces({ proc: paths.proc, blockDevice }, pid);
    await Promise.all(
      places.map(async ({ kind, fd, name }) => {
        const file = taken(fd);
        if (file === null) return;
        const { kernel } = native;
        const work = kind === 'block device' ? kernel.syncBlockDevice(file) : kernel.syncFileSystem(file);
        await inTime(work, limitMs, () => new Error(`${name} was not synced in ${limitMs} ms`), signal);
      }),
    );
    return null;
  } catch (error) {
    signal.throwIfAborted();
    return saidBy(error);
  }
}
