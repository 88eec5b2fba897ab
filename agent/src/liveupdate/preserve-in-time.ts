// SPDX-License-Identifier: Apache-2.0
/**
 * Preserving while machines are stopped, with a limit. The kernel walks every page, so it takes as long as the file is
 * large. Where it does not come back, machines are not to wait for it.
 */
import type { Descriptor, Native } from '@luo-console/native';
import { NotEnded, type Unended } from '../host/unended.ts';
import { preservePatiently } from './device.ts';

/** How long a small file may take, in ms. */
const leastMs = 10_000;
/** Bytes that are preserved in a millisecond on a slow host, in pages of 4 KiB. */
const bytesPerMs = 256 * 1024;

/** How long a file of so many bytes may take, in ms. */
export const preserveLimitMs = (bytes: bigint): number => leastMs + Math.ceil(Number(bytes) / bytesPerMs);

/** The kernel is still preserving. It has the session for itself until it is done, and a kexec would wait for that. */
export class NotPreservedInTime extends Error {
  override readonly name = 'NotPreservedInTime';
}

/** How long to wait, and what ends that as well. */
export interface Waiting {
  /** In ms; follows from the size of the file if it is not given. */
  readonly limitMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Has the kernel preserve a file. One that is not waited for any more is preserved all the same, if the kernel comes back
 * before the session is closed. It is known until then.
 *
 * @throws NotPreservedInTime; the signal's reason; SystemError, as preserving does
 */
export async function preserveInTime(
  { liveUpdate, memory, unended }: Pick<Native, 'liveUpdate' | 'memory'> & { readonly unended: Unended },
  session: Descriptor,
  file: Descriptor,
  token: bigint,
  { limitMs = preserveLimitMs(memory.fileFacts(file).size), signal }: Waiting = {},
): Promise<void> {
  let over = false;
  // Nothing is asked of the kernel any more once machines run again.
  const attempt = async (): Promise<void> => {
    if (!over) await liveUpdate.preserveFd(session, file, token);
  };
  const preserving = preservePatiently(attempt);
  try {
    await unended.waitFor('preserving a file for the update', preserving, { limitMs, signal });
  } catch (error) {
    if (!(error instanceof NotEnded)) throw error;
    throw new NotPreservedInTime(`the kernel did not preserve it within ${limitMs} ms`);
  } finally {
    over = true;
  }
}
