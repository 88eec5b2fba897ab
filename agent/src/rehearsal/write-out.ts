// SPDX-License-Identifier: Apache-2.0
/**
 * Writes out what a machine has written to its disks, while it runs. QEMU does that when it stops a guest, however long it
 * takes, and nothing can end it then. What little comes after this takes no time.
 */
import type { Native } from '@luo-console/native';
import { inTime } from '../host/in-time.ts';
import type { HostPaths } from '../host/paths.ts';
import { saidBy } from '../host/said-by.ts';
import { blockDeviceOf, type TakeContext, takeUnlessClosed } from '../machines/taken-file.ts';
import { writtenPlaces } from '../machines/written-places.ts';

interface WriteOutContext extends TakeContext {
  readonly native: Native;
  readonly paths: Pick<HostPaths, 'proc'>;
}

/** How long each place may take, in ms. */
const limitMs = 10_000;

/**
 * @param pid of the VMM
 * @param signal ends the wait
 * @returns why not all of it could be written in time; null if it was
 * @throws the signal's reason
 */
export async function writeOut(
  context: WriteOutContext,
  pid: number,
  signal: AbortSignal,
): Promise<string | null> {
  const { native, paths } = context;
  const blockDevice = (_pid: number, fd: number): bigint | null => blockDeviceOf(context, pid, fd);
  try {
    const places = await writtenPlaces({ proc: paths.proc, blockDevice }, pid);
    await Promise.all(
      places.map(async ({ kind, fd, name }) => {
        const file = takeUnlessClosed(context, pid, fd);
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
