// SPDX-License-Identifier: Apache-2.0
/** The digest of one file: a SHA-256 of its whole contents at the moment it was taken. See `digests.ts`. */
import type { Descriptor } from '@luo-console/native';
import { isKernelFailure, kernelCallFailed } from '../host/refusal.ts';
import type { LiveUpdateContext } from './live-update-context.ts';

/** Told the bytes read so far. */
export type DigestProgress = (doneBytes: number) => void;

export interface Digesting {
  readonly file: Descriptor;
  /** For people. */
  readonly name: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: DigestProgress | undefined;
}

export interface Digest {
  /** Lower-case hexadecimal SHA-256. */
  readonly digest: string;
  /** When reading began, µs since the epoch. */
  readonly digestAtUs: number;
}

/**
 * @param signal ends the wait for it; the digest ends with the piece under way
 * @throws Refusal KernelCallFailed; the signal's reason
 */
export async function digestOf(
  { native, nowUs, unended }: Pick<LiveUpdateContext, 'native' | 'nowUs' | 'unended'>,
  { file, name, signal, onProgress }: Digesting,
): Promise<Digest> {
  // A separate copy: the session may be closed while this reads.
  using copy = native.descriptors.duplicate(file);
  const digestAtUs = nowUs();
  try {
    const reading = native.memory.sha256(copy, {
      onProgress: (bytes) => {
        signal?.throwIfAborted();
        onProgress?.(Number(bytes));
      },
    });
    const digest = await unended.waitFor(`taking the digest of ${name}`, reading, { signal, heeds: true });
    return { digest, digestAtUs };
  } catch (error) {
    throw isKernelFailure(error) ? kernelCallFailed(error) : error;
  }
}
