// SPDX-License-Identifier: Apache-2.0
/** What the manifest says of a machine once its VMM is another process. */
import { identify, type ProcessIdentity } from '../host/process-files.ts';
import { Refusal } from '../host/refusal.ts';
import type { MachineBefore, MachineHead } from '../liveupdate/machine-head.ts';
import { commandOfVmm } from './running-vmm.ts';
import { usualCapabilities } from './taking-in.ts';

/** In place of the start time of a process that has ended: no process has it. */
const noStartTime = 'ended';

/**
 * How the migration settings of a machine's new VMM are to be: it began with those that every QEMU begins with. What
 * brought it back puts them back too, but may have ended before.
 */
function beforeArrival(before: MachineBefore | null): MachineBefore {
  const capabilities = { ...usualCapabilities, ...before?.settings.capabilities };
  return { ran: before?.ran ?? true, saving: false, settings: { capabilities, parameters: {} } };
}

function nullIfGone(error: unknown): null {
  if (error instanceof Refusal && error.refusal === 'NoSuchProcess') return null;
  throw error;
}

export interface Moved {
  readonly change: Partial<MachineHead>;
  /** The process; null if it has ended already. */
  readonly identity: ProcessIdentity | null;
}

/**
 * @param machine as it is known
 * @param pid of its new VMM, which may have ended already
 * @param bootId the running kernel's
 */
export async function movedHead(
  proc: string,
  machine: Pick<MachineHead, 'before' | 'bootId'> | null,
  pid: number,
  bootId: string,
): Promise<Moved> {
  const before = beforeArrival(machine?.before ?? null);
  // What a kernel before had of two VMMs ended with it, and units have the names of other processes now.
  const left = machine?.bootId === bootId ? {} : { renewal: null };
  const moved = { pid, bootId, unlinked: [], suspended: false, before, ...left };
  const identity = await identify(proc, pid);
  const command = identity && (await commandOfVmm(proc, pid).catch(nullIfGone));
  if (identity === null || command === null)
    return { change: { ...moved, startTime: noStartTime }, identity: null };
  return { change: { ...moved, startTime: identity.startTime, command }, identity };
}
