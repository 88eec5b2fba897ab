// SPDX-License-Identifier: Apache-2.0
/** While machines are stopped, held, or on their way into this kernel, the host must not be shut down: they would be lost. */
import type { Adoptions } from './adoption/adoptions.ts';
import type { HeldMachines } from './adoption/held-machines.ts';
import type { SessionStore } from './liveupdate/sessions.ts';
import type { Phases } from './update/record/phases.ts';

/** Changes of sessions within this many ms are looked at together. */
const coalesceMs = 100;

export interface ShutdownSources {
  readonly phases: Phases;
  readonly sessions: Pick<SessionStore, 'events' | 'list'>;
  readonly adoptions: Pick<Adoptions, 'list'>;
  readonly heldMachines: Pick<HeldMachines, 'any'>;
  /** What keeps the host from being shut down. */
  readonly lock: { want(wanted: boolean): void };
}

/** Takes the lock before machines are stopped, gives it back once none is at risk, and again whenever that changes. */
export function holdShutdown({ phases, sessions, adoptions, heldMachines, lock }: ShutdownSources): void {
  const atRisk = (): boolean =>
    // From *prepared* on: nothing is begun in the time in which machines are stopped.
    !['normal', 'preserving'].includes(phases.phase) ||
    sessions.list().some(({ direction }) => direction === 'incoming') ||
    adoptions.list().some(({ machine }) => machine.suspended) ||
    heldMachines.any;
  let timer: NodeJS.Timeout | null = null;
  const look = (): void => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    lock.want(atRisk());
  };
  phases.events.on('changed', look);
  sessions.events.on('changed', () => {
    timer ??= setTimeout(look, coalesceMs).unref();
  });
  look();
}
