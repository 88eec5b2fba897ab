// SPDX-License-Identifier: Apache-2.0
/** What a live update does to each machine, in words, and the steps that do it. */

import { counted } from '../../host/plain-words.ts';
import type { Machine, PlannedMachine, Step, Way } from '../../interface/agent.generated.ts';
import { stepIds } from '../record/steps.ts';

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
      const { name, pid, way, session, memory, expectedBlackoutUs } = machine;
      const left = leave.has(pid) || session === null;
      return {
        ...{ name, pid, session, memory },
        leave: left,
        way: left ? ('none' as const) : way,
        expectedBlackoutUs: left ? null : expectedBlackoutUs,
        measuredBlackoutUs: left ? null : measured(way),
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
  if (chosen) return { detail: 'It is left behind, as was chosen.', risk };
  const why = way === 'none' ? `It cannot be: ${wayReason}.` : 'It can be.';
  return { detail: session === null ? `It is not adopted. ${why}` : 'It is left behind.', risk };
}

function whatHappens({ way, wayReason }: Machine): Pick<PlannedMachine, 'detail' | 'risk'> {
  const how = {
    cpr: 'It is stopped, its descriptors and its state are preserved, and a new VMM takes them over',
    named_memory: 'It is stopped, its state is preserved beside its memory, and a new VMM loads it',
    whole_state: 'It is stopped, its memory and its state are copied and preserved, and a new VMM loads them',
    none: 'It cannot come along',
  }[way];
  return {
    detail: `${how}: ${wayReason}.`,
    risk: 'It stands still during the blackout, and its network connections with it. If it cannot be started again, its memory and its state stay with the agent.',
  };
}

/** Steps before the kexec while the machines run. */
export function stepsToProtect(machines: readonly PlannedMachine[]): Step[] {
  return coming(machines).map(({ name, session }) => ({
    id: stepIds.machine(session),
    phase: 'preserving',
    title: `Preserve the memory of ${name}`,
    detail: 'What has come to it since it was adopted is preserved too. The machine runs.',
    risk: 'None to the machine. If the kernel refuses, the update ends here.',
    reversible: true,
    session,
  }));
}

/** The step that makes everything ready while the machines run. */
export function stepsToGetReady(machines: readonly PlannedMachine[]): Step[] {
  const count = coming(machines).length;
  if (count === 0) return [];
  return [
    {
      id: stepIds.ready,
      phase: 'prepared',
      title: 'Make everything ready to stop the machines',
      detail: `Their monitors are taken and memory for their states is allocated, so that little is left to do while ${counted(count, 'machine')} ${count === 1 ? 'stands' : 'stand'} still.`,
      risk: 'Nobody else can use their monitors until the update is over.',
      reversible: true,
      session: null,
    },
  ];
}

/** The step that begins the blackout. */
export function stepsToSuspend(
  machines: readonly PlannedMachine[],
  ifMachineFails: 'stop' | 'leave',
): Step[] {
  const names = coming(machines).map(({ name }) => name);
  if (names.length === 0) return [];
  const policy =
    ifMachineFails === 'stop'
      ? 'If one cannot be saved, all run on and the update ends.'
      : 'If one cannot be saved, it is left behind and lost; the update goes on.';
  return [
    {
      id: stepIds.suspend,
      phase: 'suspending',
      title: 'Stop the machines and save their states',
      detail: `${names.join(', ')}: all at once. The blackout begins.`,
      risk: policy,
      reversible: true,
      session: null,
    },
  ];
}

/** The steps that end it. */
export function stepsToResume(machines: readonly PlannedMachine[]): Step[] {
  return coming(machines).map(({ name, session }) => ({
    id: `resume:${session}`,
    phase: 'resuming',
    title: `Let ${name} run again`,
    detail:
      'Its memory and its state are retrieved, a VMM is started with the same command line, and takes them.',
    risk: 'If any part of it did not come through it is not started. If its VMM fails, its memory and its state stay with the agent.',
    reversible: false,
    session,
  }));
}

function coming(machines: readonly PlannedMachine[]): (PlannedMachine & { session: string })[] {
  return machines.flatMap((each) =>
    each.leave || each.session === null ? [] : [{ ...each, session: each.session }],
  );
}
