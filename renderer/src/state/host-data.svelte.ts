// SPDX-License-Identifier: Apache-2.0
/**
 * What the views know of one host, read again when its status says that it changed. Each piece remembers whether
 * it came from the host or from its replica.
 */
import type { AgentMethods, Session, Update } from '@luo-console/agent/interface';
import type { Host } from '@luo-console/electron/interface';
import { hostStatus, type Reading, readAgent } from '../bridge/agent.ts';
import { Remote } from '../bridge/remote.svelte.ts';
import { JournalStore } from './journal.svelte.ts';
import { MachinesStore } from './machines.svelte.ts';
import { UpdateView } from './update-view.svelte.ts';
import { UpdatesStore } from './updates.svelte.ts';

type Kernels = AgentMethods['ListKernels']['reply'];

async function narrowed<T, U>(reading: Promise<Reading<T>>, narrow: (value: T) => U): Promise<Reading<U>> {
  const { value, live, asOfUs } = await reading;
  return { value: narrow(value), live, asOfUs };
}

export class HostData {
  readonly sessions: Remote<Session[]>;
  readonly kernels: Remote<Kernels>;
  readonly machines: MachinesStore;
  readonly updates: UpdatesStore;
  readonly journal: JournalStore;
  readonly run: UpdateView;
  #seenSessions = '';
  #seenMachines = '';
  #seenKernels = '';
  #seenUpdates = '';

  /** @param onSettled told how a live update of the host ended that was seen running */
  constructor(id: string, onSettled: (update: Update) => void) {
    this.sessions = new Remote(() => narrowed(readAgent(id, 'ListSessions', {}), ({ sessions }) => sessions));
    this.kernels = new Remote(() => readAgent(id, 'ListKernels', {}));
    this.machines = new MachinesStore(id);
    this.updates = new UpdatesStore(id);
    this.journal = new JournalStore(id);
    this.run = new UpdateView(id, onSettled);
  }

  /** Reads again whatever the host's status says has changed since it was read last. */
  observe(host: Host): void {
    const status = hostStatus(host);
    const common = `${host.state} ${status?.bootId ?? ''}`;
    const sessions = `${common} ${JSON.stringify(status?.sessions ?? [])}`;
    if (sessions !== this.#seenSessions) {
      this.#seenSessions = sessions;
      void this.sessions.load();
    }
    // While a live update is under way the machines' monitors belong to the agent.
    const machines = `${sessions} ${status?.phase === 'normal'}`;
    if (machines !== this.#seenMachines) {
      this.#seenMachines = machines;
      if (host.state !== 'connected' || status?.phase === 'normal') this.machines.refresh();
    }
    const kernels = `${common} ${JSON.stringify(status?.loadedKernel ?? null)}`;
    if (kernels !== this.#seenKernels) {
      this.#seenKernels = kernels;
      void this.kernels.load();
    }
    const updates = `${common} ${status?.lastUpdate ?? ''} ${status?.progress ? 'under way' : ''}`;
    if (updates !== this.#seenUpdates) {
      this.#seenUpdates = updates;
      void this.updates.load();
    }
    this.run.observe(host);
  }
}
