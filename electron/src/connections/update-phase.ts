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
  return status !== null && gonePhases.has(status.phase);
}

/** Whether the kexec may happen at any moment: it is announced and can no longer be called off. */
export function kexecIsDue(status: Status | null): boolean {
  if (status === null) return false;
  return status.phase === 'kexec' && (status.progress?.graceEndsAtUs ?? null) === null;
}

/** One sentence on a connection that was lost because of `reason`. */
export function lossDetail(status: Status | null, reason: string): string {
  return isReplacingKernel(status)
    ? `Replacing its kernel; the console connects again as soon as the agent answers. (${reason})`
    : `The connection was lost; the console keeps trying. (${reason})`;
}
