// SPDX-License-Identifier: Apache-2.0
/** What a live update does to each machine, in words. */
import type { Machine, PlannedMachine, Way } from '../../interface/agent.generated.ts';

/** Machines by pid that are to be left behind. */
export type Leave = ReadonlySet<number>;

/** What is said of a way in a sentence. */
const named: Readonly<Record<Way, string>> = {
  cpr: 'cpr-transfer',
  named_memory: 'its named memory',
  whole_state: 'its whole state',
  none: 'no way',
};

/**
 * A machine goes the way in which it was adopted, as long as it can go at all. Another may be open to it by now: memory that
 * was sealed is not in the kernel after an update.
 */
function asAdopted(machine: Machine, way: Way | null): Machine {
  if (way === null || machine.way === 'none' || machine.way === way) return machine;
  const wayReason = `it was adopted so; to carry it over by ${named[machine.way]}, release it and adopt it again`;
  return { ...machine, way, wayReason, expectedBlackoutUs: null };
}

/**
 * Machines that are there, each with what is to happen to it.
 *
 * @param adoptedWay how the machine with a session was adopted; null if it was not
 * @param measured how long a machine stood still the last time that one came along this way, in µs, or null
 * @param saveLimit how long its VMM may take to save one, in µs
 */
export function planMachines(
  machines: readonly Machine[],
  leave: Leave,
  adoptedWay: (session: string) => Way | null,
  measured: (way: Way) => number | null,
  saveLimit: (machine: Pick<Machine, 'way' | 'memory'>) => number,
): PlannedMachine[] {
  return machines
    .filter(({ state }) => state !== 'gone')
    .map((found) => {
      const machine = asAdopted(found, found.session === null ? null : adoptedWay(found.session));
      const { name, pid, way, session, memory, expectedBlackoutUs, priority, rehearsal } = machine;
      const left = leave.has(pid) || session === null;
      return {
        ...{ name, pid, session, memory },
        leave: left,
        way: left ? ('none' as const) : way,
        expectedBlackoutUs: left ? null : expectedBlackoutUs,
        measuredBlackoutUs: left ? null : measured(way),
        priority: left ? null : priority,
        saveLimitUs: left || way === 'none' ? null : saveLimit({ way, memory }),
        rehearsal: left ? null : rehearsal,
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
