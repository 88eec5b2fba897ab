// SPDX-License-Identifier: Apache-2.0
// What is to be read off the machines of a live update: which of them come along, how long each has been suspended, when the
// blackout of them all began and ended.
import type { MachineRun, MachineStage } from '@luo-console/agent/interface';
import type { Span } from './span.ts';

/** Stages after which nothing more happens to a machine in a live update. */
const ended: readonly MachineStage[] = ['resumed', 'running', 'held', 'left_behind', 'lost'];

/** Machines that were to come along. */
export function comingAlong(machines: readonly MachineRun[]): MachineRun[] {
  return machines.filter(({ way, stage }) => way !== 'none' && stage !== 'left_behind');
}

/** Machines that did not come along, although they were to. */
export function notResumed(machines: readonly MachineRun[]): MachineRun[] {
  return machines.filter(({ stage }) => stage === 'held' || stage === 'lost');
}

/** For how long a machine has been suspended, or was; null if it was not. Times on one clock, in µs. */
export function blackoutOf({ blackoutUs, suspendedAtUs, stage }: MachineRun, nowUs: number): number | null {
  if (blackoutUs !== null) return blackoutUs;
  if (suspendedAtUs === null || ended.includes(stage)) return null;
  return Math.max(0, nowUs - suspendedAtUs);
}

/** When the first machine was suspended; null if none was. */
export function firstSuspended(machines: readonly MachineRun[]): number | null {
  const times = machines.flatMap(({ suspendedAtUs }) => (suspendedAtUs === null ? [] : [suspendedAtUs]));
  return times.length === 0 ? null : Math.min(...times);
}

/** The blackout of all machines: its end is null while one of them is still suspended. Null before it begins. */
export function machinesBlackout(
  machines: readonly MachineRun[],
): { startUs: number; endUs: number | null } | null {
  const startUs = firstSuspended(machines);
  if (startUs === null) return null;
  const suspended = machines.filter(({ suspendedAtUs }) => suspendedAtUs !== null);
  const over = suspended.every(({ stage, blackoutUs }) => blackoutUs !== null || ended.includes(stage));
  const ends = suspended.map(
    ({ suspendedAtUs, blackoutUs }) => (suspendedAtUs ?? startUs) + (blackoutUs ?? 0),
  );
  return { startUs, endUs: over ? Math.max(...ends) : null };
}

/**
 * The machines as heard of so far with one more report taken in. A machine's suspension is put on this machine's clock when
 * it is first heard of, because the host's clock may jump at the kexec; a report without machines tells nothing of them.
 * @param offsetUs what to add to the host's time to get this machine's
 */
export function heardMachines(
  known: readonly MachineRun[],
  reported: readonly MachineRun[],
  offsetUs: number,
): MachineRun[] {
  if (reported.length === 0) return [...known];
  return reported.map((machine) => {
    const before = known.find(({ name, pid }) => name === machine.name && pid === machine.pid);
    const suspendedAtUs =
      machine.suspendedAtUs === null ? null : (before?.suspendedAtUs ?? machine.suspendedAtUs + offsetUs);
    return { ...machine, suspendedAtUs };
  });
}

/** A stretch in which a machine's memory was already being preserved, and it still ran. */
export function brownoutSpan({ brownoutUs, suspendedAtUs }: MachineRun): Span | null {
  if (brownoutUs === null || suspendedAtUs === null) return null;
  return { startUs: suspendedAtUs - brownoutUs, endUs: suspendedAtUs };
}

/** A stretch in which a machine did not run. */
export function blackoutSpanOf({ blackoutUs, suspendedAtUs }: MachineRun): Span | null {
  if (blackoutUs === null || suspendedAtUs === null) return null;
  return { startUs: suspendedAtUs, endUs: suspendedAtUs + blackoutUs };
}
