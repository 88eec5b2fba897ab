// SPDX-License-Identifier: Apache-2.0
/**
 * The VMM of a machine that a newer one replaces in this kernel, and its new one. The mark in the manifest says what was
 * begun (`MachineRenewal`). The agent that wrote it, or one after it, goes on from there. The old VMM is let run only once
 * the new one is known to have ended without having run. It is ended only once the new one runs.
 */
import { lstatSync, renameSync, rmSync } from 'node:fs';
import type { Native } from '@luo-console/native';
import { endKnown, openKnown } from '../host/known-process.ts';
import type { HostPaths } from '../host/paths.ts';
import { isStill } from '../host/process-files.ts';
import { saidBy } from '../host/said-by.ts';
import { seenBy, socketSeenBy } from '../host/seen-by.ts';
import { dropAside, putBack, type SetAside, setAside } from '../host/set-aside.ts';
import type { MachineHead, MachineRenewal, StoppedMark } from '../liveupdate/machine-head.ts';
import type { Adopted } from './adoption-context.ts';
import { RanPerhaps, runStarted, type UnitMachine, type VmmStarter } from './restore.ts';

export interface ReplacedContext {
  readonly native: Native;
  readonly paths: Pick<HostPaths, 'proc'>;
  readonly starter: VmmStarter;
  mark(session: string, change: StoppedMark): void;
  log(level: 'info' | 'warning' | 'error', message: string, fields?: Record<string, unknown>): void;
}

/** Longest that a killed VMM may take to end, in ms. */
const endMs = 30_000;

/** Where process 1 has a path: the agent itself may not write there. */
const reachIn =
  (proc: string) =>
  (path: string): string =>
    seenBy(proc, 1, path);

/** The unit of the new VMM. */
export const newUnitOf = ({ session, machine }: Adopted, { second, slice }: MachineRenewal): UnitMachine => ({
  ...{ session, command: machine.command, beside: { second } },
  facts: { resources: slice === null ? null : { slice } },
});

/** How the new VMM is that may have been told to run. */
export type NewVmm =
  | { readonly is: 'running'; readonly pid: number }
  /** It has ended. */
  | { readonly is: 'ended' }
  /** QEMU does not let its guest run, in its words. */
  | { readonly is: 'refusing'; readonly why: string };

/**
 * Asks the new VMM whether its guest runs, and tells it to if that is paused still.
 *
 * @throws Error if that is unknown
 */
export async function askNewVmm(
  { native, paths, starter, log }: ReplacedContext,
  adopted: Adopted,
  renewal: MachineRenewal,
): Promise<NewVmm> {
  const unit = newUnitOf(adopted, renewal);
  const pid = await starter.pid(unit).catch(() => null);
  if (pid === null) return { is: 'ended' };
  const { before, monitor } = adopted.machine;
  const facts = { resources: unit.facts?.resources ?? null, nice: renewal.nice };
  const machine = { ...unit, facts, monitor, ran: before?.ran ?? true };
  try {
    const { problem } = await runStarted({ native, paths, machine, starter, log, pid });
    if (problem !== null) throw new Error(problem);
    return { is: 'running', pid };
  } catch (error) {
    if (error instanceof RanPerhaps) return { is: 'refusing', why: saidBy(error.cause) };
    throw error;
  }
}

/**
 * Gives the names of the old VMM's sockets and files to the new one.
 *
 * @throws Error if one is not the VMM's user's, or cannot be renamed
 */
export function setNamesAside(proc: string, { machine }: Adopted, { aside }: MachineRenewal): void {
  for (const each of aside) setAside(reachIn(proc), each, machine.command.uid);
}

/**
 * Gives the old VMM its names back. The new one has ended without having run, or was never started.
 *
 * @throws Error if that cannot be done for one, once the others have theirs: its mark stays, and it is tried again
 */
export function giveNamesBack(
  { paths, mark }: Pick<ReplacedContext, 'paths' | 'mark'>,
  adopted: Adopted,
  renewal: MachineRenewal,
): void {
  // First: what the carrier has said there does not count any more.
  rmSync(renewal.directory, { recursive: true, force: true });
  const problems: unknown[] = [];
  for (const each of renewal.aside) {
    try {
      putBack(reachIn(paths.proc), each, adopted.machine.command.uid);
    } catch (error) {
      problems.push(error);
    }
  }
  if (problems.length > 0) throw new Error(problems.map(saidBy).join('; '));
  mark(adopted.session, { renewal: null });
}

/**
 * Makes sure that the new VMM has ended, and gives the old one its names back. The guest is stopped still. It does not wait
 * for a name that cannot be given back: the mark of the renewal stays then, and it is tried again.
 *
 * @throws Error if the new one may live
 */
async function undoRenewal(
  context: ReplacedContext,
  adopted: Adopted,
  renewal: MachineRenewal,
): Promise<void> {
  await context.starter.stop(newUnitOf(adopted, renewal));
  try {
    giveNamesBack(context, adopted, renewal);
  } catch (error) {
    const fields = { session: adopted.session, problem: saidBy(error) };
    context.log('error', 'a VMM does not have its names back yet, which is tried again', fields);
  }
}

/**
 * Where a machine's monitor is for this process. That of a VMM which was to be replaced may not have its name back yet.
 *
 * @param proc where procfs is mounted
 */
export function monitorPlace(proc: string, { pid, monitor, renewal }: MachineHead): string {
  const aside = renewal?.aside.find(({ path }) => path === monitor)?.aside;
  const other = aside === undefined ? null : socketSeenBy(proc, pid, aside);
  return other !== null && isThere(other) ? other : socketSeenBy(proc, pid, monitor);
}

/**
 * The new VMM has ended after it was told to run. What the old one has of the machine does not fit its memory any more:
 * it is left stopped, and nobody lets it run but its owner.
 *
 * @throws as `undoRenewal`
 */
export async function leaveStopped(
  context: ReplacedContext,
  adopted: Adopted,
  renewal: MachineRenewal,
): Promise<void> {
  const { before } = adopted.machine;
  context.mark(adopted.session, {
    suspended: false,
    before: before && { ...before, ran: false, saving: false },
  });
  await undoRenewal(context, adopted, renewal);
}

/**
 * Ends the VMM that was replaced. Not by its own ways: it would remove the new one's sockets.
 *
 * @param adopted the machine, which the new VMM has
 * @throws Error if it has not ended, or its unit has not
 */
export async function endReplaced(
  { native, paths, starter, mark }: ReplacedContext,
  adopted: Adopted,
  renewal: MachineRenewal,
): Promise<void> {
  const { proc } = paths;
  const { from, ownUnit, kept, second } = renewal;
  const reach = reachIn(proc);
  if (kept !== null && !isThere(reach(kept.aside)) && isThere(reach(kept.path)))
    renameSync(reach(kept.path), reach(kept.aside));
  using old = openKnown(native, from.pid, (pid) => isStill(proc, { ...from, pid }));
  if (old !== null && !(await endKnown(native, old, endMs)))
    throw new Error(`process ${from.pid}, its old VMM, has not ended within ${endMs} ms`);
  if (ownUnit) {
    const unit = { ...newUnitOf(adopted, renewal), beside: { second: !second } };
    await starter.stop(unit);
    // The service manager answers this once it has removed the unit's directory.
    await starter.settle(unit);
  }
  if (kept !== null) comeBack(reach, kept);
  for (const each of renewal.aside) dropAside(reach, each, adopted.machine.command.uid);
  mark(adopted.session, { renewal: null });
  rmSync(renewal.directory, { recursive: true, force: true });
}

const isThere = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined;

function comeBack(reach: (path: string) => string, { path, aside }: SetAside): void {
  if (isThere(reach(aside)) && !isThere(reach(path))) renameSync(reach(aside), reach(path));
}

export interface LeftContext extends ReplacedContext {
  /** Whether the new VMM of a renewal may have been told to run, by what the carrier has said in there. */
  mayHaveRun(directory: string): boolean;
  /** Enters the new VMM as the machine's. */
  moved(session: string, pid: number): Promise<void>;
}

/**
 * Settles a renewal that another agent has begun. The carrier goes on without it, and is waited for. Then either the new
 * VMM runs and the old one is ended, or the new one has ended and the old one is for the caller to let run. It is to be
 * called again as long as the mark of the renewal stays.
 *
 * @throws Error if neither is known
 */
export async function settleRenewal(context: LeftContext, adopted: Adopted): Promise<void> {
  const { log, starter } = context;
  const { session, machine } = adopted;
  const { renewal } = machine;
  if (!renewal) return;
  const { from, directory } = renewal;
  if (machine.pid === from.pid && machine.startTime === from.startTime) {
    await starter.settle(newUnitOf(adopted, renewal));
    const became = await askNewVmm(context, adopted, renewal);
    if (became.is === 'ended' && context.mayHaveRun(directory)) {
      const why = 'a machine is left stopped: its new VMM ended after it may have been told to run';
      log('error', why, { session, pid: from.pid });
      return await leaveStopped(context, adopted, renewal);
    }
    if (became.is !== 'running') {
      log('warning', 'a machine was not renewed: the agent that did it has ended', { session });
      return await undoRenewal(context, adopted, renewal);
    }
    await context.moved(session, became.pid);
    log('warning', 'a machine was renewed, and the agent that did it has ended', {
      session,
      pid: became.pid,
    });
  }
  await endReplaced(context, adopted, renewal);
}
