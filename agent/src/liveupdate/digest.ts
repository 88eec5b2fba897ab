// SPDX-License-Identifier: Apache-2.0
/** The digest of one file: a SHA-256 of its whole contents at the moment it was taken. See `digests.ts`. */
import type { Descriptor } from '@luo-console/native';
import { isKernelFailure, kernelCallFailed } from '../host/refusal.ts';
import type { LiveUpdateContext } from './live-update-context.ts';

/** Told the bytes read so far. */
export type DigestProgress = (doneBytes: number) => void;

export interface Digest {
  /** Lower-case hexadecimal SHA-256. */
  readonly digest: string;
  /** When reading began, µs since the epoch. */
  readonly digestAtUs: number;
}

/** @throws Refusal KernelCallFailed */
export async function digestOf(
  { native, nowUs }: Pick<LiveUpdateContext, 'native' | 'nowUs'>,
  file: Descriptor,
  onProgress?: DigestProgress,
): Promise<Digest> {
  // A separate copy: the session may be closed while this reads.
  using copy = native.descriptors.duplicate(file);
  const digestAtUs = nowUs();
  try {
    const digest = await native.memory.sha256(copy, { onProgress: (bytes) => onProgress?.(Number(bytes)) });
    return { digest, digestAtUs };
  } catch (error) {
    throw isKernelFailure(error) ? kernelCallFailed(error) : error;
  }
}
