// SPDX-License-Identifier: Apache-2.0
/** How the digests of an update compare, and which descriptors it lost. */
import type { Carried } from '@luo-console/agent/interface';

export interface DigestSummary {
  /** Descriptors with a digest from before the kexec. */
  compared: number;
  match: number;
  lost: Carried[];
}

/** Compares the digests of what was carried. */
export function digestSummary(carried: readonly Carried[]): DigestSummary {
  return {
    compared: carried.filter(({ digestBefore }) => digestBefore !== null).length,
    match: carried.filter(({ verdict }) => verdict === 'match').length,
    lost: carried.filter(({ verdict }) => verdict === 'differs' || verdict === 'missing'),
  };
}
