// SPDX-License-Identifier: Apache-2.0
/**
 * Trying to start a saved machine. So early in a boot a module, a tap or a disk may still be missing that is there a few
 * seconds later. Until the guest has run nothing of the machine is used up, so an attempt can be repeated. Attempts are
 * counted behind the state (`restart-mark.ts`), so that an agent that dies of one does not begin without end.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { readAttempts, readMark, writeAttempts } from '../../adoption/restart-mark.ts';
import { isUnitThere, RanPerhaps, type RestoreOptions, unitNameOf } from '../../adoption/restore.ts';
import type { Log } from '../../host/log.ts';
import { counted } from '../../host/plain-words.ts';
import { saidBy } from '../../host/said-by.ts';
import { restoreMachine } from '../program/restore-machine.ts';
import { Missing } from './retrieved-files.ts';
import type { Turn } from './start-turns.ts';

/** How long to wait before each further attempt, in ms. */
export const usualPausesMs: readonly number[] = [250, 500, 1000, 2000, 4000, 8000];

/** How long each attempt waits for what the machine needs at least, in seconds. */
const leastNeedLimitS = 1;

/** An attempt that takes longer than this, in ms, is repeated once and no more: each could take as long again. */
const slowMs = 30_000;

/**
 * Starts a machine, with growing pauses between attempts that fail. Goes on counting where an agent before this one
 * died.
 *
 * @param options with how long the first attempt waits for what the machine needs. The others follow at once.
 * @param pausesMs before each attempt after the first, in ms: there is one attempt more than pauses, whoever makes them
 * @param turn kept while an attempt is under way, and given up before a pause
 * @returns the new VMM's process
 * @throws Error with the number of attempts and what the last one failed with; RanPerhaps at once; Missing at once
 */
export async function restorePatiently(
  options: RestoreOptions,
  pausesMs: readonly number[],
  log: Log,
  turn: Turn,
): Promise<number> {
  const { machine, native, starter, state } = options;
  const { session } = machine;
  const before = readAttempts(native.memory, state, machine);
  if (before > pausesMs.length)
    throw new Error(`${counted(before, 'attempt')}, the last one by an agent before this one`);
  if (before > 0) {
    const pauseMs = pausesMs[before - 1] ?? 0;
    log('warning', 'a machine did not start while an earlier agent ran, and is tried again', {
      ...{ session, attempts: before, pauseMs },
    });
    turn.end();
    await delay(pauseMs);
  }
  const began = performance.now();
  for (let attempt = before + 1; ; attempt += 1) {
    await turn.begin();
    writeAttempts(native.memory, state, machine, attempt);
    try {
      // What it needs is waited for that long in all, whatever an attempt fails of.
      const leftS = (options.needLimitS ?? 0) - Math.floor((performance.now() - began) / 1000);
      return await restoreMachine({ ...options, needLimitS: Math.max(leastNeedLimitS, leftS) });
    } catch (error) {
      if (error instanceof RanPerhaps || error instanceof Missing) throw error;
      const pauseMs = pausesMs[attempt - 1];
      const slow = attempt > before + 1 && performance.now() - began > slowMs;
      if (pauseMs === undefined || slow)
        throw new Error(`${counted(attempt, 'attempt')}; the last one: ${saidBy(error)}`, { cause: error });
      log('warning', 'a machine did not start, and is tried again', {
        ...{ session, problem: saidBy(error), attempt, pauseMs },
      });
      // Nothing else has a unit of this name so early: it is left over from an attempt of ours.
      if (isUnitThere(error)) {
        await starter.settle(machine);
        // It has done what it was started for.
        if (readMark(native.memory, state, machine) === 'running') throw new RanPerhaps(error);
        await starter.stop(machine).catch(() => {});
      }
      turn.end();
      await delay(pauseMs);
    }
  }
}
