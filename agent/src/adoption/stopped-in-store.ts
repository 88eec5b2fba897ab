// SPDX-License-Identifier: Apache-2.0
/**
 * Machines that a dead agent has stopped, let run on before their sessions are taken in. The agent that follows may have to
 * wait for the device, without end. The marks are in the service manager's store, and a machine needs nothing else.
 */
import type { Native } from '@luo-console/native';
import type { Log } from '../host/log.ts';
import type { HostPaths } from '../host/paths.ts';
import { Refusal } from '../host/refusal.ts';
import type { DescriptorStore } from '../liveupdate/descriptor-store.ts';
import type { HeldSession } from '../liveupdate/held-session.ts';
import { type HandedBack, machinesIn } from '../liveupdate/intake.ts';
import type { RenewalsLeft } from './adoption-context.ts';
import { movedHead } from './moved-head.ts';
import { StoppedMachines } from './stopped-machines.ts';

export interface StoredContext {
  readonly native: Native;
  readonly paths: HostPaths;
  readonly store: DescriptorStore;
  /** The boot in which they were stopped: this one. */
  readonly bootId: string;
  readonly renewals: RenewalsLeft;
  readonly log: Log;
}

/**
 * Lets them run on until none is stopped any more. What the manifests say then is true for whoever takes the sessions in.
 *
 * @param handed what the service manager handed in, which stays the caller's
 * @param over ends it, once an attempt under way is done: the sessions are taken in now
 */
export async function letStoredRunOn(
  { native, paths, store, bootId, renewals, log }: StoredContext,
  handed: readonly HandedBack[],
  over: AbortSignal,
): Promise<void> {
  const sessions = new Map<string, HeldSession>();
  for (const held of machinesIn({ native, store }, handed)) sessions.set(held.name, held);
  const get = (name: string): HeldSession => {
    const held = sessions.get(name);
    if (!held) throw new Refusal('SessionNotFound', { name });
    return held;
  };
  const machines = new StoppedMachines({
    ...{ native, paths, bootId, renewals, log },
    mayLetRunOn: () => !over.aborted,
    sessions: {
      list: () => [...sessions.values()],
      has: (name) => sessions.has(name),
      get,
      touched: () => {},
    },
    moved: async (session, pid) => {
      const held = get(session);
      held.updateMachine((await movedHead(paths.proc, held.machine, pid, bootId)).change);
    },
  });
  try {
    await machines.letAllRunOn(() => {}, over);
  } finally {
    machines.close();
    for (const held of sessions.values()) held.release();
  }
}
