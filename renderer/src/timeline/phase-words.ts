// SPDX-License-Identifier: Apache-2.0
// How long a phase took, in words that tell the grace from the rest of the kexec.
import type { PhaseTiming } from '@luo-console/agent/interface';
import { duration } from '../format/quantity.ts';
import { barParts } from './bars.ts';
import type { Span } from './span.ts';

/** @param stayed whether the host is known not to have gone away at all */
export function phaseLength(timing: PhaseTiming, stayed: boolean, blackout: Span | null): string {
  if (timing.durationUs === null) return 'not ended';
  const parts = barParts(timing, stayed, blackout);
  const grace = parts.find(({ kind }) => kind === 'grace');
  if (!grace) return duration(timing.durationUs);
  if (parts.length === 1) return `${duration(timing.durationUs)}, all of it grace`;
  return `${duration(timing.durationUs)}, ${duration(grace.endUs - grace.startUs)} of it grace`;
}
