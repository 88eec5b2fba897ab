// SPDX-License-Identifier: Apache-2.0
/**
 * The pages of the file that a machine's state is recorded in. They are made while the guest runs, so that recording has
 * only to fill them. A machine that is saved whole has as many of them as its memory, so they are made off the event loop,
 * piece by piece.
 */
import type { Descriptor, Memory } from '@luo-console/native';
import type { Unended } from '../host/unended.ts';

/** Some tens of milliseconds for the kernel: as long as others wait for their turn with it. */
const pieceBytes = 64 * 1024 * 1024;

/**
 * Makes the pages of a file, from its beginning.
 *
 * @param bytes how long the file is then, at least
 * @param signal ends it; a piece under way is not waited for
 * @throws SystemError `ENOSPC`, `ENOMEM` if the host has no room; the signal's reason
 */
export async function makePages(
  { memory, unended }: { readonly memory: Pick<Memory, 'allocate'>; readonly unended: Unended },
  file: Descriptor,
  bytes: number,
  signal?: AbortSignal,
): Promise<void> {
  for (let at = 0; at < bytes; at += pieceBytes) {
    signal?.throwIfAborted();
    const making = memory.allocate(file, BigInt(at), Math.min(pieceBytes, bytes - at));
    await unended.waitFor('making room for the state of a machine', making, { signal, heeds: true });
  }
}
