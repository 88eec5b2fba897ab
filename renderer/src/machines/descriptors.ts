// SPDX-License-Identifier: Apache-2.0
/** Orders the descriptors of a machine, those that decide first, and says how each is related to others. */
import type { Fate, MachineDescriptor } from '@luo-console/agent/interface';
import { counted } from '../format/quantity.ts';

const rank: Record<Fate, number> = { blocks: 0, lost: 2, preservable: 2, rebuilt: 3 };

function place({ fate, guestMemory }: MachineDescriptor): number {
  return fate !== 'blocks' && guestMemory ? 1 : rank[fate];
}

/** What blocks the update first, then guest memory; otherwise in the agent's order, with what is only rebuilt last. */
export function inOrder(descriptors: readonly MachineDescriptor[]): MachineDescriptor[] {
  return descriptors.toSorted((one, other) => place(one) - place(other));
}

/** What a descriptor has to do with devices, other descriptors, other machines and sessions, a line each. */
export function relations(descriptor: MachineDescriptor): string[] {
  const { pciAddress, duplicates, dependsOn, sharedWith, session, token } = descriptor;
  return [
    pciAddress === null ? '' : `PCI device ${pciAddress}`,
    session === null ? '' : `preserved in ${session}${token === null ? '' : ` under ${token}`}`,
    dependsOn.length === 0 ? '' : `depends on ${dependsOn.map((fd) => `fd ${fd}`).join(', ')}`,
    sharedWith.length === 0 ? '' : `shared with ${sharedWith.map((pid) => `process ${pid}`).join(', ')}`,
    duplicates.length === 0
      ? ''
      : `also ${counted(duplicates.length, 'other number')}: ${duplicates.join(', ')}`,
  ].filter(Boolean);
}
