// SPDX-License-Identifier: Apache-2.0
/**
 * What the window knows of one host's update, from choosing the kernel to the outcome, as one value that only
 * `afterEvent` changes. It comes from three sources: the stream of the run, the host's status, and the update itself
 * once it has ended. They repeat and overtake each other, so an event may be old news, or already over.
 *
 *     choose ──planned──▶ plan ──started──▶ running ──settled──▶ settled ──startedOver──▶ choose
 *       ▲                  ▲ └──notStarted──┘  ▲
 *       └──startedOver─────┘                   └── progress: from any stage, for the console may be opened,
 *                                                  or another person may start an update, at any time
 *
 * Unhappy paths: a run that the agent refuses goes back to its plan (`notStarted`). An act that fails leaves its
 * failure and changes nothing else (`failed`). Progress of an update that is already settled is late and ignored.
 * Progress of another update starts from the
 * beginning, without the plan and the failure of the one before. A phase that is over is never heard again. A phase that passed
 * while the host was away is not heard at all.
 *
 * Pinned by update-state.test.ts, with events made by hand and with the recording of an update.
 */
import type { MachineRun, PhaseTiming, Plan, Progress, Update } from '@luo-console/agent/interface';
import type { Failure } from '../bridge/failure.ts';
import { isLater } from '../words/phases.ts';
import { heardMachines } from './machine-runs.ts';

/** `choose` a kernel, look at the `plan`, `running`, and `settled` when the outcome is known. */
export type Stage = 'choose' | 'plan' | 'running' | 'settled';

/** All times are this machine's, in µs since the epoch: the host's clock may jump at the kexec. */
export interface UpdateState {
  readonly stage: Stage;
  /** The update's id; null until one is under way. */
  readonly id: string | null;
  readonly plan: Plan | null;
  /** The newest progress, as the agent sent it: its times are the host's. Null once the update is settled. */
  readonly progress: Progress | null;
  /** The phases heard of so far, in their order. */
  readonly seen: readonly PhaseTiming[];
  /** The machines as heard of so far. */
  readonly machines: readonly MachineRun[];
  /** When the grace ends or has ended; null if none was heard of. */
  readonly graceEndsAtUs: number | null;
  /** The update as it ended; null before. */
  readonly update: Update | null;
  /** What went wrong with what was asked last; null if nothing did. */
  readonly failure: Failure | null;
}

export type UpdateEvent =
  /** Something is asked of the agent: an earlier failure is no news any more. */
  | { readonly kind: 'asked' }
  | { readonly kind: 'planned'; readonly plan: Plan }
  /** The agent was asked to run the plan there is. */
  | { readonly kind: 'started' }
  | { readonly kind: 'notStarted'; readonly failure: Failure }
  /** @see clockOffsetUs for the offset: what to add to the host's time to get this machine's, in µs */
  | { readonly kind: 'progress'; readonly progress: Progress; readonly offsetUs: number }
  | { readonly kind: 'settled'; readonly update: Update }
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'startedOver' };

export const initialState: UpdateState = {
  stage: 'choose',
  id: null,
  plan: null,
  progress: null,
  seen: [],
  machines: [],
  graceEndsAtUs: null,
  update: null,
  failure: null,
};

/** The state after one more event. Pure: the state before is left as it was. */
export function afterEvent(state: UpdateState, event: UpdateEvent): UpdateState {
  switch (event.kind) {
    case 'asked':
      return { ...state, failure: null };
    case 'planned':
      // Another person may have started an update while the plan was being made.
      if (state.stage === 'running') return state;
      return { ...state, stage: 'plan', plan: event.plan, failure: null };
    case 'started':
      return { ...initialState, stage: 'running', plan: state.plan };
    case 'notStarted':
      return { ...state, stage: 'plan', failure: event.failure };
    case 'progress':
      return afterProgress(state, event.progress, event.offsetUs);
    case 'settled':
      return {
        ...state,
        stage: 'settled',
        id: event.update.id,
        update: event.update,
        progress: null,
        plan: null,
      };
    case 'failed':
      return { ...state, failure: event.failure };
    case 'startedOver':
      return initialState;
  }
}

function afterProgress(state: UpdateState, progress: Progress, offsetUs: number): UpdateState {
  const known = state.id === progress.update;
  if (known && state.stage === 'settled') return state;
  // The plan is this update's only if it was started here and this is the first that is heard of it.
  const ours = state.stage === 'running' && state.id === null;
  const before = known ? state : { ...initialState, plan: ours ? state.plan : null };
  const { graceEndsAtUs } = progress;
  return {
    ...before,
    stage: 'running',
    id: progress.update,
    progress,
    seen: heardPhases(before.seen, progress, offsetUs),
    machines: heardMachines(before.machines, progress.machines, offsetUs),
    graceEndsAtUs: graceEndsAtUs === null ? before.graceEndsAtUs : graceEndsAtUs + offsetUs,
  };
}

/** The phases heard of so far with one more report added: a phase ends when a later one begins. */
function heardPhases(
  seen: readonly PhaseTiming[],
  progress: Progress,
  offsetUs: number,
): readonly PhaseTiming[] {
  const last = seen.at(-1);
  if (last && !isLater(progress.phase, last.phase)) return seen;
  const startedAtUs = progress.phaseStartedAtUs + offsetUs;
  const ended = last
    ? [...seen.slice(0, -1), { ...last, durationUs: Math.max(0, startedAtUs - last.startedAtUs) }]
    : [];
  return [...ended, { phase: progress.phase, startedAtUs, durationUs: null }];
}
