// SPDX-License-Identifier: Apache-2.0
/**
 * Memory that would come back sealed against writing is not preserved: a guest cannot run in it, and what it had is lost.
 * A look at the machine reads the seals as well (`machines/fates.ts`). They are read again here, because a VMM may add
 * seals at any time, and a machine may have been adopted before anybody read them.
 */
import type { Descriptor, Memory } from '@luo-console/native';
import { Refusal } from '../host/refusal.ts';
import { whyFileSealed } from '../host/seals.ts';
import type { Machine } from '../interface/agent.generated.ts';
import { orderDescriptors } from '../machines/order.ts';

/** Where the files are. */
export interface Sealable {
  readonly native: { readonly memory: Pick<Memory, 'getSeals'> };
  /** A copy of a process's descriptor. @throws Refusal */
  take(pid: number, fd: number): Descriptor;
}

/**
 * Makes sure that every file of a machine that would be preserved can be written to in the next kernel.
 *
 * @throws Refusal MachineUnusable, with the file and its seal; NoSuchProcess, NoSuchDescriptor, DependencyCycle
 */
export function checkSeals({ native, take }: Sealable, machine: Machine): void {
  const { pid, name, descriptors } = machine;
  for (const fd of orderDescriptors(machine)) {
    using file = take(pid, fd);
    const why = whyFileSealed(native.memory, file);
    if (why === null) continue;
    const called = descriptors.find((each) => each.fd === fd)?.name ?? `descriptor ${fd}`;
    throw new Refusal('MachineUnusable', { pid, name, reason: `${called}: ${why}` });
  }
}
