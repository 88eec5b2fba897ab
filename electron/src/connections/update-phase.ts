// SPDX-License-Identifier: Apache-2.0
/** What the last status says about why a host is gone, in words for a person. */
import type { Phase, Status } from '@luo-console/agent/interface';

/** Phases from which on the host is expected to go away by itself, or has just come back. */
const gonePhases: ReadonlySet<Phase> = new Set([
  'suspending',
  'kexec',
  'booting',
  'retrieving',
  'resuming',
  'finishing',
]);

/** Whether the host was in the middle of a live update when it was last heard of. */
export function isReplacingKernel(status: Status | null): boolean {
  return status !== null && (gonePhases.has(status.phase) || isAnnounced(status));
}

/** Whether the kexec is announced: the phases that follow may be too short to be heard of. */
function isAnnounced({ progress }: Status): boolean {
  return (progress?.graceEndsAtUs ?? null) !== null;
}

/** Microseconds after which nobody waits any more for a host that an earlier run of the console left in a live update. */
const forgottenAfterUs = 60 * 60 * 1_000_000;

/** What was last heard of a host, and when, in microseconds since the Unix epoch. */
export interface LastHeard {
  readonly status: Status | null;
  readonly statusAtUs: number | null;
}

/** Whether a host that cannot be reached now is likely to be away for a live update: that was its last word, lately. */
export function isExpectedBack({ status, statusAtUs }: LastHeard, nowUs: number): boolean {
  return isReplacingKernel(status) && statusAtUs !== null && nowUs - statusAtUs < forgottenAfterUs;
}

/** Whether a live update was under way when a host was last heard of, lately, in whatever phase. */
export function wasUpdating({ status, statusAtUs }: LastHeard, nowUs: number): boolean {
  return (status?.progress ?? null) !== null && statusAtUs !== null && nowUs - statusAtUs < forgottenAfterUs;
}

/** Whether the kexec may happen at any moment: it is announced, and its grace is over. */
export function kexecIsDue(status: Status | null): boolean {
  if (status === null) return false;
  return (status.phase === 'suspending' || status.phase === 'kexec') && !isAnnounced(status);
}

/** One sentence on a connection that was lost because of `reason`. */
export function lossDetail(status: Status | null, reason: string): string {
  return isReplacingKernel(status)
    ? `Replacing its kernel; the console connects again as soon as the agent answers. (${reason})`
    : `The connection was lost; the console keeps trying. (${reason})`;
}
