// SPDX-License-Identifier: Apache-2.0
/** How each phase of an update stands while it runs. */
import type { Phase, PhaseTiming } from '@luo-console/agent/interface';
import { isLater } from '../../words/phases.ts';

/** `unheard` lies before the current phase but was not heard of, as happens while the host is away. */
export type PhaseState = 'done' | 'current' | 'waiting' | 'unheard';

/** @param seen the phases heard of so far, in their order */
export function phaseState(seen: readonly PhaseTiming[], phase: Phase): PhaseState {
  const current = seen.at(-1)?.phase;
  if (phase === current) return 'current';
  if (seen.some((timing) => timing.phase === phase)) return 'done';
  return current !== undefined && isLater(current, phase) ? 'unheard' : 'waiting';
}
