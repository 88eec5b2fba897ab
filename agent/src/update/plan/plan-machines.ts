// SPDX-License-Identifier: Apache-2.0
/** What a live update does to each machine, in words. */
import type { Machine, PlannedMachine, Way } from '../../interface/agent.generated.ts';

/** Machines by pid that are to be left behind. */
export type Leave = ReadonlySet<number>;

/**
 * Machines that are there, each with what is to happen to it.
 *
 * @param measured how long a machine stood still the last time that one came along this way, in µs, or null
 */
export function planMachines(
  machines: readonly Machine[],
  leave: Leave,
  measured: (way: Way) => number | null,
): PlannedMachine[] {
  return machines
    .filter(({ state }) => state !== 'gone')
    .map((machine) => {
      const { name, pid, way, session, memory, expectedBlackoutUs, priority } = machine;
      const left = leave.has(pid) || session === null;
      return {
        ...{ name, pid, session, memory },
        leave: left,
        way: left ? ('none' as const) : way,
        expectedBlackoutUs: left ? null : expectedBlackoutUs,
        measuredBlackoutUs: left ? null : measured(way),
        priority: left ? null : priority,
        ...(left ? whatIsLost(machine, leave.has(pid)) : whatHappens(machine)),
      };
    });
}

function whatIsLost(
  { session, wayReason, way }: Machine,
  chosen: boolean,
): Pick<PlannedMachine, 'detail' | 'risk'> {
  const risk =
    'It ends with this kernel, as if its power were cut. What its guest has not written to disk is lost.';
  if (chosen) return { detail: 'It is left behind, as you chose.', risk };
  const why =
    way === 'none'
      ? `It cannot be carried over: ${wayReason}.`
      : 'You can adopt it now; it is then carried over.';
  return { detail: session === null ? `Not adopted. ${why}` : 'It is left behind.', risk };
}

function whatHappens({ way, wayReason }: Machine): Pick<PlannedMachine, 'detail' | 'risk'> {
  const how = {
    cpr: 'It is stopped, its descriptors and its state are preserved, and a new VMM takes them over',
    named_memory: 'It is stopped, its state is preserved beside its memory, and a new VMM loads it',
    whole_state: 'It is stopped, its memory and its state are copied and preserved, and a new VMM loads them',
    none: 'It cannot be carried over',
  }[way];
  return {
    detail: `${how}: ${wayReason}.`,
    risk: 'It is stopped during the blackout, and its network connections wait. If it cannot be started again, the agent keeps its memory and its state.',
  };
}
