// SPDX-License-Identifier: Apache-2.0
/**
 * How an update that runs stands right now, as one value: what the stage shows follows from it and from nothing else.
 *
 *     connected     steps ──announced──▶ grace ──over──▶ stopping ──(the host goes)──▶ away ──(it is back)──▶ steps
 *     not connected lost (the person disconnected, or ssh failed: the update goes on without the console)
 *
 * Whether an abort would be accepted is the agent's word (`Progress.mayAbort`) and only shown here.
 * Pinned by run-state.test.ts, a table over phase, state of the host and grace.
 */
import type { Host } from '@luo-console/electron/interface';
import type { UpdateState } from '../../state/update-state.ts';
import { isLater } from '../../words/phases.ts';
import { runWords } from '../../words/run.ts';
import { sentence } from '../../words/sentence.ts';
import { type AwayReading, awayReading } from './away.ts';
import { type CounterReading, counterReading } from './counter.ts';

/** What there is to say about where the update is. */
export type RunStanding =
  /** Steps are being done, in either kernel. */
  | { kind: 'steps' }
  /** The update is announced and waits. @param leftUs µs left of the wait */
  | { kind: 'grace'; leftUs: number }
  /** The machines are being stopped, or the new kernel is about to be started. */
  | { kind: 'stopping' }
  /** The host is not there, and is expected back by itself. */
  | { kind: 'away'; reading: AwayReading; forUs: number }
  /** The console is not connected and will not connect by itself. */
  | { kind: 'lost' };

export type RunState = RunStanding & {
  /** What is being done, as a sentence. */
  said: string;
  /** Whether to offer an abort. */
  mayAbort: boolean;
  counter: CounterReading;
};

/** All that is looked at. Times on this machine's clock, in µs since the epoch. */
export interface RunFacts {
  host: Pick<Host, 'state' | 'sinceUs'>;
  update: Pick<UpdateState, 'progress' | 'seen' | 'machines' | 'graceEndsAtUs'>;
  /** The host's usual blackout in µs; null if there was none yet. */
  usualUs: number | null;
  nowUs: number;
}

/** Reads the facts. */
export function runState(facts: RunFacts): RunState {
  const { host, update, nowUs } = facts;
  const standing = standingOf(facts);
  const gone = standing.kind === 'away' && standing.reading !== 'early';
  return {
    ...standing,
    said: saidOf(standing, facts),
    mayAbort: host.state === 'connected' && update.progress?.mayAbort === true,
    counter: counterReading(update, nowUs, gone ? nowUs - standing.forUs : null),
  };
}

function standingOf({ host, update, usualUs, nowUs }: RunFacts): RunStanding {
  const { progress, graceEndsAtUs, seen } = update;
  if (host.state === 'failed' || host.state === 'disconnected') return { kind: 'lost' };
  const phase = progress?.phase ?? null;
  if (host.state !== 'connected') {
    const last = seen.at(-1);
    // The broken connection is noticed late; the phase tells better when the host went.
    const leftAtUs = last?.phase === 'kexec' ? last.startedAtUs : host.sinceUs;
    const forUs = Math.max(0, nowUs - leftAtUs);
    const reading = awayReading({
      phase,
      graceEndsAtUs,
      awaySinceUs: host.sinceUs,
      awayForUs: forUs,
      usualUs,
    });
    return { kind: 'away', reading, forUs };
  }
  if (phase === 'suspending' || phase === 'kexec') return { kind: 'stopping' };
  const leftUs = progress?.graceEndsAtUs == null || graceEndsAtUs === null ? 0 : graceEndsAtUs - nowUs;
  return leftUs > 0 ? { kind: 'grace', leftUs } : { kind: 'steps' };
}

function saidOf(standing: RunStanding, { update: { progress } }: RunFacts): string {
  // The last word before it went is over by then.
  const gone = standing.kind === 'away' && standing.reading !== 'early';
  if (gone && !(progress && isLater(progress.phase, 'kexec'))) return runWords.leaving;
  return progress?.message ? sentence(progress.message) : runWords.starting;
}
