// SPDX-License-Identifier: Apache-2.0
/**
 * How long machines may be stopped before the reboot call: each while it is saved, and all of them together. Whatever hangs
 * then, they run again after that. The limits follow from what saving took the last time on this host. They are far above
 * it, because an update that is aborted for nothing has stopped all machines for nothing.
 */
import { attendantsMs } from '../../adoption/attendance.ts';
import { counted, inMebibytes } from '../../host/plain-words.ts';
import type { CheckVerdict, MachineRun, PlannedMachine, Way } from '../../interface/agent.generated.ts';
import { longestStopSeconds } from '../../interface/limits.ts';
import { isCarried } from '../record/blackout-spread.ts';

/** The least that a machine may take to be saved: on a busy host even a small one may wait for a processor. */
const leastUs = 10_000_000;
/** The same where no machine was saved this way yet. */
const unmeasuredUs = 30_000_000;
/** How many times as long as before saving may take. */
const margin = 10;
/** As slow as a VMM may send its memory where that was not measured yet, in bytes for each µs. */
const unmeasuredRate = 100;
/** No measurement is taken to mean a slower rate than this, in bytes for each µs. */
const slowestRate = 20;
/** Of less than this a rate says nothing: it is all setting out and arriving. In bytes. */
const leastCopied = 256 * 1024 * 1024;
/** The most that machines may be stopped before the reboot call. One that takes longer is not carried over. */
const mostUs = longestStopSeconds * 1_000_000;
/** For what is done once all are stopped and saved: the last sync. */
const restUs = 10_000_000;

/** What the last updates tell of saving. */
interface Measured {
  /** The longest that saving one took, in µs; null if none was saved this way yet. */
  readonly longestUs: number | null;
  /** The slowest rate, in bytes for each µs; null likewise. */
  readonly rate: number | null;
}

type Saved = Pick<PlannedMachine, 'way' | 'memory'>;

function measuredOf(way: Way, runs: readonly MachineRun[]): Measured {
  const saved = runs.flatMap((run) => {
    const { durationUs = 0 } = run.parts.find(({ part }) => part === 'save') ?? {};
    return run.way === way && isCarried(run) && durationUs > 0 ? [{ durationUs, bytes: run.stateBytes }] : [];
  });
  if (saved.length === 0) return { longestUs: null, rate: null };
  const rates = saved.flatMap(({ durationUs, bytes }) =>
    (bytes ?? 0) < leastCopied ? [] : [(bytes ?? 0) / durationUs],
  );
  return {
    longestUs: Math.max(...saved.map(({ durationUs }) => durationUs)),
    rate: rates.length === 0 ? null : Math.max(slowestRate, Math.min(...rates)),
  };
}

/** How long copying a machine's memory is expected to take, in µs; 0 if it is not copied. */
function copyUs({ way, memory }: Saved, { rate }: Measured): number {
  return way === 'whole_state' ? Math.ceil((memory ?? 0) / (rate ?? unmeasuredRate)) : 0;
}

/**
 * How long a VMM may take to save its machine once that is stopped, in µs.
 *
 * @param runs machines of the last updates on this host
 */
export function saveLimitUs(machine: Saved, runs: readonly MachineRun[]): number {
  const measured = measuredOf(machine.way, runs);
  const { longestUs, rate } = measured;
  // Of a copy its size says more than how long another took.
  if (machine.way === 'whole_state') {
    const copying = copyUs(machine, measured) * (rate === null ? 1 : margin);
    return Math.min(mostUs, (rate === null ? unmeasuredUs : leastUs) + copying);
  }
  return longestUs === null ? unmeasuredUs : Math.min(mostUs, Math.max(leastUs, margin * longestUs));
}

/**
 * How long all may be stopped before the reboot call, if nobody asks for another limit.
 *
 * @param machines those of the plan, with their own limits
 * @param attended how many sessions have a program that stops their machine itself
 * @returns null if nothing is stopped
 */
export function usualStopLimitUs(
  machines: readonly Pick<PlannedMachine, 'saveLimitUs'>[],
  attended: number,
): number | null {
  const limits = machines.flatMap(({ saveLimitUs: limit }) => limit ?? []);
  if (limits.length === 0 && attended === 0) return null;
  const attendedUs = attended === 0 ? 0 : attendantsMs * 1000;
  return Math.min(mostUs, Math.max(attendedUs, ...limits) + restUs);
}

/** The machines with limits that are not beyond that of all. */
export const withinLimit = (
  machines: readonly PlannedMachine[],
  stopLimitUs: number | null,
): PlannedMachine[] =>
  machines.map((machine) => {
    const { saveLimitUs: limit } = machine;
    if (limit === null || stopLimitUs === null) return machine;
    return { ...machine, saveLimitUs: Math.min(limit, stopLimitUs) };
  });

const inSeconds = (us: number): string => counted(Math.ceil(us / 1_000_000), 'second');

/**
 * The preflight check of whether machines can be saved within their limits. One that cannot would be stopped for nothing.
 *
 * @param runs machines of the last updates on this host
 */
export function savingCheck(
  machines: readonly PlannedMachine[],
  stopLimitUs: number | null,
  runs: readonly MachineRun[],
): readonly [CheckVerdict, string] {
  if (stopLimitUs === null) return ['pass', 'nothing is stopped'];
  const expected = machines.flatMap((machine) => {
    const { way, memory, name, saveLimitUs: limitUs } = machine;
    if (limitUs === null) return [];
    const measured = measuredOf(way, runs);
    const isCopied = way === 'whole_state';
    const us = isCopied ? copyUs(machine, measured) : (measured.longestUs ?? 0);
    const what = isCopied ? `copying its ${inMebibytes(memory ?? 0)}` : 'saving it';
    return [{ name, us, limitUs, what, isKnown: !isCopied || measured.rate !== null }];
  });
  const tooLong = expected.filter(({ us, limitUs }) => us > limitUs);
  const limit = `machines are stopped for at most ${inSeconds(stopLimitUs)} before the reboot call`;
  if (tooLong.length === 0) return ['pass', limit];
  const each = tooLong.map(
    ({ name, us, limitUs, what, isKnown }) =>
      `${name}: ${what} ${isKnown ? 'takes about' : 'was not measured here yet, and may take'} ${inSeconds(us)}, and its limit is ${inSeconds(limitUs)}`,
  );
  const verdict = tooLong.some(({ isKnown }) => isKnown) ? 'fail' : 'warn';
  const longer = stopLimitUs < mostUs ? 'Allow more time, or leave it behind' : 'Leave it behind';
  return [verdict, `${each.join('; ')}. ${longer}`];
}
