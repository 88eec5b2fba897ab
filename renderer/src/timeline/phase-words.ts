// SPDX-License-Identifier: Apache-2.0
/** How long a phase took, in words that name the grace and a refusal. */
import type { PhaseTiming } from '@luo-console/agent/interface';
import { duration } from '../format/quantity.ts';
import { type BarFacts, barParts } from './bars.ts';

/** `4.2 s`, `12.4 s, 10.0 s of it grace`, `120 ms, refused by the kernel`. */
export function phaseLength(timing: PhaseTiming, facts: BarFacts): string {
  if (timing.durationUs === null) return 'not ended';
  const parts = barParts(timing, facts);
  const length = duration(timing.durationUs);
  if (parts.some(({ kind }) => kind === 'refused')) return `${length}, refused by the kernel`;
  const grace = parts.find(({ kind }) => kind === 'grace');
  if (!grace) return length;
  if (parts.length === 1) return `${length}, all of it grace`;
  return `${length}, ${duration(grace.endUs - grace.startUs)} of it grace`;
}
