// SPDX-License-Identifier: Apache-2.0
/**
 * Reads the machines of an update: which are carried over, how long each was stopped, and when the blackout of
 * them all began and ended.
 */
import type { MachineRun, MachineStage } from '@luo-console/agent/interface';

/** Stages after which nothing more happens to a machine in a live update. */
const ended: readonly MachineStage[] = ['resumed', 'running', 'held', 'left_behind', 'lost'];

/** Machines that the update is to carry over. */
export function carriedOver(machines: readonly MachineRun[]): MachineRun[] {
  return machines.filter(({ way, stage }) => way !== 'none' && stage !== 'left_behind');
}

/** Machines that the update was to carry over, and that do not run. */
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

/** Since when a machine has been at a stage and what it says of it, on this machine's clock in µs. */
export interface StageSince {
  readonly machine: string;
  readonly said: string;
  readonly sinceUs: number;
}

const keyOf = ({ name, pid }: MachineRun): string => `${pid} ${name}`;

/** Since when each machine has been where it is; the agent does not say it. @param known as of the last report */
export function stagesSince(
  known: readonly StageSince[],
  machines: readonly MachineRun[],
  nowUs: number,
): StageSince[] {
  return machines.map((run) => {
    const [machine, said] = [keyOf(run), `${run.stage} ${run.detail}`];
    const before = known.find((each) => each.machine === machine && each.said === said);
    return before ?? { machine, said, sinceUs: nowUs };
  });
}

/** Stages on the way back to running. */
const arriving: readonly MachineStage[] = ['retrieving', 'starting', 'loading'];

/** For how long a machine has been on its way at one place; null if it is not on its way, or that is unknown. */
export function stuckFor(run: MachineRun, since: readonly StageSince[], nowUs: number): number | null {
  if (!arriving.includes(run.stage)) return null;
  const found = since.find(({ machine }) => machine === keyOf(run));
  return found === undefined ? null : Math.max(0, nowUs - found.sinceUs);
}
