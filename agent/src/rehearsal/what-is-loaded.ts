// SPDX-License-Identifier: Apache-2.0
/** Whether the state of a machine is loaded in a rehearsal, and what it says if that does not go well. */

import { capabilitiesFor } from '../adoption/taking-in.ts';
import { errnoOf } from '../host/refusal.ts';
import { saidBy } from '../host/said-by.ts';
import { socketSeenBy } from '../host/seen-by.ts';
import type { Machine } from '../interface/agent.generated.ts';
import type { MachineHead } from '../liveupdate/machine-head.ts';
import { VmmMonitor } from '../qemu/migration-monitor.ts';
import { readSettings } from '../qemu/migration-settings.ts';
import { QmpError } from '../qemu/qmp-client.ts';
import { StreamError } from '../qemu/streams.ts';
import { ofLoading, passingCause } from './outcome.ts';
import { DoesNotRunOn, type StateContext, TookTooLong } from './take-state.ts';

/** QEMU from this version on can open a file of memory for reading and change its view of it. */
const privateViewsSince = [8, 2] as const;

export function hasPrivateViews(version: string | null): boolean {
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
  const [firstMajor, firstMinor] = privateViewsSince;
  return major > firstMajor || (major === firstMajor && minor >= firstMinor);
}

/** Why the state of a machine is not loaded in a rehearsal; null if it is. */
export function whyNotLoaded(
  way: MachineHead['way'],
  { version, descriptors }: Pick<Machine, 'version' | 'descriptors'>,
): string | null {
  // A memfd may be in there, too.
  const isHuge = descriptors.some(({ kind }) => kind === 'hugetlb');
  const why =
    way === 'cpr'
      ? 'its memory is handed over in an update, and no second VMM can have a private view of it'
      : way === 'whole_state'
        ? 'its memory is part of its state, and its guest would be stopped until all of it is copied'
        : !hasPrivateViews(version)
          ? 'its QEMU cannot open memory for reading only'
          : isHuge
            ? // A private view takes a page of the pool for each that is written, and a guest may be promised that one.
              'its memory is in hugetlbfs, and what a second VMM writes would take more of that'
            : null;
  return why === null ? null : `${ofLoading}${why}`;
}

/**
 * The capabilities of a VMM's migration that are on or off as its owner has them: its command line may set them.
 *
 * @throws QmpError as where its monitor has another client
 */
export async function capabilitiesNow(
  { native, paths }: Pick<StateContext, 'native' | 'paths'>,
  { pid, monitor, way }: Pick<MachineHead, 'pid' | 'monitor' | 'way'>,
): Promise<Readonly<Record<string, boolean>>> {
  const path = socketSeenBy(paths.proc, pid, monitor);
  const opened = await VmmMonitor.open({ sockets: native.sockets, path, pid });
  try {
    return (await readSettings(opened, capabilitiesFor(way), false)).before.capabilities;
  } finally {
    opened.close();
  }
}

/**
 * What a state that was not taken or loaded says of its machine. That is nothing if its monitor is busy, or somebody saves it,
 * or the agent or the host had no room. It is a problem where QEMU itself refuses, or where the new VMM takes nothing in.
 */
export function saidOfMachine(error: unknown): { readonly problem: string } | { readonly left: string } {
  const why = saidBy(error);
  if (error instanceof TookTooLong && error.doing === 'loading')
    return { problem: `its state cannot be loaded: ${why}` };
  const isOfVmm =
    error instanceof StreamError ||
    // More than a state can have.
    errnoOf(error) === 'EFBIG' ||
    (error instanceof QmpError && (error.failure === 'refused' || error.failure === 'malformed'));
  if (error instanceof DoesNotRunOn || (isOfVmm && passingCause(why) === null))
    return { problem: `its state cannot be taken: ${why}` };
  return { left: `${ofLoading}${why}` };
}
