// SPDX-License-Identifier: Apache-2.0
/** The processes of the carrier, its keeper and its holder: looking at them, and ending them. */
import type { Native } from '@luo-console/native';
import { runsCarrier } from '../../../host/carrier-process.ts';
import { endKnown, type KnownProcess, openKnown } from '../../../host/known-process.ts';
import type { Log } from '../../../host/log.ts';
import type { HostPaths } from '../../../host/paths.ts';
import { saidBy } from '../../../host/said-by.ts';
import type { CarrierStatus } from './carrier-status.ts';
import { isOver } from './carrier-watch.ts';

/** What is needed to look at them and to end them. */
interface ProcessContext {
  readonly native: Native;
  readonly paths: Pick<HostPaths, 'proc' | 'carrier' | 'carrierDirectory'>;
  readonly log: Log;
  /** How long one that was killed may take to end, in ms. */
  readonly limits: { readonly endMs: number };
}

/** Opens a process of the carrier. @returns null if it has ended, whatever has its number now */
export function openCarrier({ native, paths }: ProcessContext, pid: number | null): KnownProcess | null {
  return pid === null ? null : openKnown(native, pid, (number) => runsCarrier(paths, number));
}

/** Ends a process of the carrier. That it does not goes to the log. @returns whether it has ended */
export async function endOrSay(
  { native, log, limits }: ProcessContext,
  known: KnownProcess,
): Promise<boolean> {
  const { pid } = known;
  try {
    if (await endKnown(native, known, limits.endMs)) return true;
    log('warning', 'a process of the carrier does not end', { pid });
  } catch (error) {
    log('warning', 'a process of the carrier could not be ended', { pid, problem: saidBy(error) });
  }
  return false;
}

/**
 * Sees to it that no worker of the carrier goes on beside the agent: there would be two VMMs of one machine. A keeper
 * that is at work is ended if the holder lives, which has the sessions, too. Its workers end with it.
 *
 * @returns why workers may go on; null if none does
 */
export async function endWork(
  context: ProcessContext,
  { keeper: number, holder }: Pick<CarrierStatus, 'keeper' | 'holder'>,
): Promise<string | null> {
  const { native, paths, log, limits } = context;
  try {
    using keeper = openCarrier(context, number);
    if (keeper === null || isKnownOver(paths.carrierDirectory)) return null;
    const { pid } = keeper;
    using other = openCarrier(context, holder);
    if (other === null) return `process ${pid} goes on, and nobody else has its sessions`;
    log('warning', 'the carrier is ended, because the agent goes on without it', { pid });
    return (await endKnown(native, keeper, limits.endMs)) ? null : `process ${pid} does not end`;
  } catch (error) {
    return saidBy(error);
  }
}

/** Whether the status says that all workers have ended. */
function isKnownOver(directory: string): boolean {
  try {
    return isOver(directory);
  } catch {
    return false;
  }
}
