// SPDX-License-Identifier: Apache-2.0
/**
 * Trying to start a saved machine. So early in a boot a module, a tap or a disk may still be missing that is there a few
 * seconds later. Until the guest has run nothing of the machine is used up, so an attempt can be repeated.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { isUnitThere, RanPerhaps, type RestoreOptions, unitNameOf } from '../../adoption/restore.ts';
import type { Log } from '../../host/log.ts';
import { saidBy } from '../../host/said-by.ts';
import { restoreMachine } from '../program/restore-machine.ts';
import { Missing } from './retrieved-files.ts';

/** How long to wait before each further attempt, in ms. */
export const usualPausesMs: readonly number[] = [250, 500, 1000, 2000, 4000, 8000];

/** An attempt that takes longer than this, in ms, is repeated once and no more: each could take as long again. */
const slowMs = 30_000;

/**
 * Starts a machine, with growing pauses between attempts that fail.
 *
 * @returns the new VMM's process
 * @throws Error of the last attempt; RanPerhaps at once; Missing at once
 */
export async function restorePatiently(
  options: RestoreOptions,
  pausesMs: readonly number[],
  log: Log,
): Promise<number> {
  const began = performance.now();
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await restoreMachine(options);
    } catch (error) {
      const pauseMs = pausesMs[attempt];
      const slow = attempt > 0 && performance.now() - began > slowMs;
      if (error instanceof RanPerhaps || error instanceof Missing || pauseMs === undefined || slow)
        throw error;
      const { machine, starter } = options;
      const { session } = machine;
      log('warning', 'a machine did not start, and is tried again', {
        session,
        problem: saidBy(error),
        pauseMs,
      });
      // Nothing else has a unit of this name so early: it is left over from an attempt of ours.
      if (isUnitThere(error)) {
        await starter.settle(unitNameOf(machine));
        await starter.stop(unitNameOf(machine)).catch(() => {});
      }
      await delay(pauseMs);
    }
  }
}
