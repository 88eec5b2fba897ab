// SPDX-License-Identifier: Apache-2.0
/** What is done about one machine that the carrier had in its hands, and when it came to each point. */
import type { Native } from '@luo-console/native';
import { unitNameOf, type VmmStarter } from '../../../adoption/restore.ts';
import type { SavedMachine } from '../../../adoption/saved-machine.ts';
import { endKnown } from '../../../host/known-process.ts';
import type { Log } from '../../../host/log.ts';
import type { HostPaths } from '../../../host/paths.ts';
import { saidBy } from '../../../host/said-by.ts';
import type { HostMarks } from '../../record/blackout-parts.ts';
import { usualCarrierLimits } from './take-over.ts';
import type { CarriedMachine, CarrierNews } from './taken-over.ts';
import { openVmm, runsProgram } from './vmm-process.ts';

export interface CarriedContext {
  readonly native: Native;
  readonly paths: Pick<HostPaths, 'proc'>;
  readonly starter: VmmStarter;
  readonly log: Log;
}

/**
 * Puts the VMM of a machine into its unit. The machine runs in any case. A failure goes to the log, and to whoever looks
 * at the machine: its VMM has no limits then, and ends badly when the host is shut down.
 *
 * @returns the VMM's process, and what went wrong; null if it has ended
 */
export async function attachCarried(
  { starter, log }: CarriedContext,
  saved: SavedMachine,
  { pid, files }: CarriedMachine,
): Promise<{ readonly pid: number; readonly problem: string | null } | null> {
  if (pid === null) return null;
  try {
    await starter.adopt(saved, pid, files);
    return { pid, problem: null };
  } catch (error) {
    const problem = saidBy(error);
    log('warning', 'a machine runs, and its VMM is in no unit', { session: saved.session, pid, problem });
    return { pid, problem: `its VMM is in no unit, and has no limits: ${problem}` };
  }
}

/**
 * Ends the VMM of a machine whose guest has not run, so that the machine can be tried again.
 *
 * @throws Error if it does not end, or may be elsewhere: two VMMs of one machine would share its disks
 */
export async function endCarried(
  { native, paths, log }: Omit<CarriedContext, 'starter'>,
  saved: SavedMachine,
  { startedPid: pid }: CarriedMachine,
): Promise<void> {
  if (pid === null) return;
  using vmm = openVmm(native, paths.proc, pid, unitNameOf(saved));
  if (vmm === null) {
    if (!runsProgram(native, paths.proc, pid, saved.command.program)) return;
    throw new Error(
      `process ${pid}, which may be its VMM, is neither where the carrier started it nor in its unit`,
    );
  }
  const { session } = saved;
  log('warning', 'a VMM that the carrier started is ended, and its machine tried again', { session, pid });
  if (await endKnown(native, vmm, usualCarrierLimits.endMs)) return;
  throw new Error(`process ${pid}, which the carrier started for it, does not end`);
}

/** A time of this kernel on the clock that survives, µs. @param kernelStartedAtUs when its clocks began */
export const onClockUs = (kernelStartedAtUs: number, ns: number): number =>
  kernelStartedAtUs + Math.floor(ns / 1000);

/** When the host came to the points that all machines of the carrier share. */
export function carrierMarks(
  { bornNs, retrievedNs }: Pick<CarrierNews, 'bornNs' | 'retrievedNs'>,
  kernelStartedAtUs: number,
): HostMarks {
  const us = (ns: number | null): number | null => (ns === null ? null : onClockUs(kernelStartedAtUs, ns));
  return { kernelStartedAtUs, agentStartedAtUs: us(bornNs), retrievedAtUs: us(retrievedNs) };
}

/**
 * When a machine came to each point, µs on the clock that survives.
 *
 * @param now what it was seen at by the agent: `running`, if the carrier's log does not say when that was
 */
export function carrierPointsUs(
  { ran }: SavedMachine,
  { reached }: CarriedMachine,
  kernelStartedAtUs: number,
  now: ReadonlyMap<string, number>,
): Map<string, number> {
  const points = new Map<string, number>(now);
  for (const [point, ns] of reached) points.set(point, onClockUs(kernelStartedAtUs, ns));
  const loaded = points.get('loaded');
  // One that was paused before is not told to run: it is as it was once it is loaded.
  if (!ran && loaded !== undefined) points.set('running', loaded);
  return points;
}
