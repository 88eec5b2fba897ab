// SPDX-License-Identifier: Apache-2.0
/** Preserving what a machine has: its memory, and every other file that the kernel takes. */
import type { Descriptor } from '@luo-console/native';
import { Refusal } from '../host/refusal.ts';
import type { Machine } from '../interface/agent.generated.ts';
import type { Collapsed } from '../liveupdate/collapse.ts';
import type { Actor } from '../liveupdate/live-update-context.ts';
import { preserveLimitMs } from '../liveupdate/preserve-in-time.ts';
import { orderDescriptors } from '../machines/order.ts';
import { checkRoom } from './filling.ts';
import { canBeHuge, collapseFor, type Following, type HugePagesContext, together } from './huge-pages.ts';
import { checkSeals } from './sealed-memory.ts';

export interface ProtectContext extends HugePagesContext {
  /** A copy of a process's descriptor. @throws Refusal */
  take(pid: number, fd: number): Descriptor;
  /** Free memory that programs can have, in bytes; null if that is unknown. */
  availableMemory(): Promise<number | null>;
}

/**
 * Preserves every file of a machine that the kernel takes and that is not preserved yet, in the right order.
 *
 * @param following of what is put into huge pages before; null if nothing is, so that it is preserved at once
 * @returns what was put into huge pages
 * @throws Refusal MachineUnusable, also where the host has not enough memory or the machine's is sealed, and what preserving
 *   refuses with; NotEnded if the kernel does not come back in time; the signal's reason
 */
export async function protectMachine(
  context: ProtectContext,
  session: string,
  machine: Machine,
  actor: Actor,
  following: Following | null,
): Promise<Collapsed> {
  const { take, sessions, native, unended } = context;
  const { pid } = machine;
  const mapped = machine.descriptors.find(({ fd, guestMemory, fate }) => {
    return fd === null && guestMemory && fate === 'preservable';
  });
  if (mapped) {
    const reason = `its VMM has no descriptor of ${mapped.name} any more`;
    throw new Refusal('MachineUnusable', { pid, name: machine.name, reason });
  }
  checkSeals(context, machine);
  checkRoom(context, machine, await context.availableMemory());
  const collapsed: Collapsed[] = [];
  // Its memory goes with its state. In the kernel after that its VMM may have memory that could be preserved.
  const isSavedWhole = sessions.get(session).machine?.way === 'whole_state';
  for (const fd of orderDescriptors(machine)) {
    const described = machine.descriptors.find((each) => each.fd === fd);
    if (isSavedWhole && described?.guestMemory) continue;
    using file = take(pid, fd);
    const isPreserved = (): boolean => sessions.whereIs(native.memory.fileFacts(file)) !== null;
    if (isPreserved()) continue;
    const label = `${described?.guestMemory ? 'memory of ' : ''}${machine.name}: ${described?.name ?? fd}`;
    if (following !== null && described && canBeHuge(described)) {
      collapsed.push(await collapseFor(context, session, file, label, following));
      following.signal?.throwIfAborted();
      // An update may have begun meanwhile, and have preserved it.
      if (isPreserved()) continue;
    }
    const source = `descriptor ${fd} of ${machine.command} (pid ${pid})`;
    const { size } = native.memory.fileFacts(file);
    const request = { token: null, label: label.slice(0, 128), source };
    await unended.waitFor(`preserving ${label}`, sessions.preserve(session, file, request, actor), {
      limitMs: preserveLimitMs(size),
      signal: following?.signal,
    });
  }
  return together(collapsed);
}
