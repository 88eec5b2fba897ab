// SPDX-License-Identifier: Apache-2.0
/**
 * The blackouts of the machines of one update: of the first that runs again, their mean, and of the last. Machines are
 * started in turn, so with many of them the mean says more than the last one's.
 */
import type { BlackoutSpread, MachineRun } from '../../interface/agent.generated.ts';

/** What a machine waits for by itself, once all memory is retrieved. */
const ownParts: ReadonlySet<string> = new Set(['start', 'load', 'resume']);

/** Whether a machine runs again in the next kernel, and its blackout was measured. */
export function isCarried(run: MachineRun): run is MachineRun & { blackoutUs: number } {
  // Older agents said `resumed` of a machine that ran on in the same kernel, with the same pid.
  return run.stage === 'resumed' && run.newPid !== run.pid && run.blackoutUs !== null;
}

function spreadOf(blackoutsUs: readonly number[]): BlackoutSpread | null {
  if (blackoutsUs.length === 0) return null;
  const sum = blackoutsUs.reduce((all, each) => all + each, 0);
  return {
    firstUs: Math.min(...blackoutsUs),
    meanUs: Math.round(sum / blackoutsUs.length),
    worstUs: Math.max(...blackoutsUs),
  };
}

/** Of the machines that run again in the next kernel; null if none does. */
export const measuredSpread = (machines: readonly MachineRun[]): BlackoutSpread | null =>
  spreadOf(machines.filter(isCarried).map(({ blackoutUs }) => blackoutUs));

/**
 * What to expect of an update, from the last one. What all machines wait for is taken to last as long as then, and so
 * is each round in which as many machines are started as may be at once.
 *
 * @param last machines of the last update that carried any over
 * @param count machines that will be carried over
 * @param together how many are started at once
 * @returns null if no machine is carried over, or the last update tells nothing
 */
export function expectedSpread(
  last: readonly MachineRun[],
  count: number,
  together: number,
): BlackoutSpread | null {
  const before = last.filter(isCarried);
  const worstUs = Math.max(...before.map(({ blackoutUs }) => blackoutUs));
  const sharedUs = Math.min(
    ...before.map(({ blackoutUs, parts }) => {
      const own = parts.filter(({ part }) => ownParts.has(part));
      return blackoutUs - own.reduce((sum, { durationUs }) => sum + durationUs, 0);
    }),
  );
  if (before.length === 0) return null;
  const roundUs = (worstUs - sharedUs) / Math.ceil(before.length / together);
  const rounds = Array.from({ length: count }, (_, index) => Math.floor(index / together) + 1);
  return spreadOf(rounds.map((round) => Math.round(sharedUs + round * roundUs)));
}
