// SPDX-License-Identifier: Apache-2.0
/** Many files in one call of the kernel: one by one, each would go to another thread and back. */
import type { Descriptor as NativeDescriptor } from '@luo-console/native';
import { isKernelFailure } from '../host/refusal.ts';
import { type Patience, preservePatiently } from './device.ts';
import { withKernelWords } from './kernel-words.ts';
import type { LiveUpdateContext } from './live-update-context.ts';
import type { ManifestEntry } from './manifest-format.ts';

/** A file to preserve, under the token of its entry. */
export interface Preserving {
  readonly token: bigint;
  readonly file: NativeDescriptor;
  readonly entry: ManifestEntry;
}

/**
 * Has the kernel preserve files until it refuses one.
 *
 * @param session the kernel's, outgoing
 * @param mark where the kernel's words about them begin
 * @returns how many it preserved, and what it refused the one after these with, in its own words; null if none
 */
export async function preserveRow(
  { native, kernelLog }: Pick<LiveUpdateContext, 'native' | 'kernelLog'>,
  session: NativeDescriptor,
  row: readonly Preserving[],
  patience: Patience,
  mark: number,
): Promise<{ preserved: number; failure: unknown }> {
  let preserved = 0;
  const attempt = async (): Promise<void> => {
    const left = row.slice(preserved);
    try {
      await native.liveUpdate.preserveFds(
        session,
        left.map(({ file }) => file),
        left.map(({ token }) => token),
      );
    } catch (error) {
      preserved += isKernelFailure(error) ? (error.place ?? 0) : 0;
      throw error;
    }
  };
  try {
    await preservePatiently(attempt, patience);
    return { preserved: row.length, failure: null };
  } catch (error) {
    const refused = row[preserved];
    if (refused === undefined) throw error;
    const failure = await withKernelWords(
      kernelLog,
      refused.entry.label,
      () => Promise.reject(error),
      mark,
    ).catch((explained: unknown) => explained);
    return { preserved, failure };
  }
}
