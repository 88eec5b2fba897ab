// SPDX-License-Identifier: Apache-2.0
/** How each phase of an update stands while it runs. */
import type { Phase, PhaseTiming } from '@luo-console/agent/interface';
import { updatePhases } from '../../words/phases.ts';

export type PhaseState = 'done' | 'current' | 'waiting' | 'unheard';

/** How a phase stands: `unheard` lies before the current one but was not heard of, as happens while the host is away. */
export function phaseState(seen: readonly PhaseTiming[], phase: Phase): PhaseState {
  const current = seen.at(-1)?.phase;
  if (phase === current) return 'current';
  if (seen.some((timing) => timing.phase === phase)) return 'done';
  const before = current !== undefined && updatePhases.indexOf(phase) < updatePhases.indexOf(current);
  return before ? 'unheard' : 'waiting';
}
