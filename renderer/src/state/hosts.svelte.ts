// SPDX-License-Identifier: Apache-2.0
/**
 * All hosts as the main process knows them, kept up to date by one stream, and which of them is in focus. The main
 * process owns the connections; this only asks.
 */
import type { Host } from '@luo-console/electron/interface';
import { call, stream } from '../bridge/bridge.ts';
import type { Failure } from '../bridge/failure.ts';
import type { RemoteState } from '../bridge/remote.svelte.ts';

const remembered = 'luo-console.focus';

/** What a person may say about a host. Empty texts count as not given. */
export interface HostWishes {
  name: string;
  address: string;
  sshConfig: string;
  serialSocket: string;
}

function wishes({ name, address, sshConfig, serialSocket }: HostWishes) {
  return {
    name: name.trim(),
    address: address.trim(),
    sshConfig: sshConfig.trim() || null,
    serialSocket: serialSocket.trim() || null,
  };
}

export class HostsStore {
  state = $state<RemoteState>('loading');
  all = $state.raw<Host[]>([]);
  failure = $state.raw<Failure | null>(null);
  #focus = $state(localStorage.getItem(remembered) ?? '');
  #cancel: (() => void) | null = null;

  /** The host in focus: the one chosen, or else the first; null if there is none. */
  readonly focused: Host | null = $derived(
    this.all.find(({ id }) => id === this.#focus) ?? this.all[0] ?? null,
  );

  /** Starts to watch, anew if it was watching. @returns a function that stops */
  watch(): () => void {
    this.#cancel?.();
    this.state = this.all.length > 0 ? 'ready' : 'loading';
    this.failure = null;
    this.#cancel = stream(
      'WatchHosts',
      {},
      ({ hosts }) => {
        this.all = hosts;
        this.state = hosts.length > 0 ? 'ready' : 'empty';
      },
      (failure) => {
        this.failure = failure;
        if (failure) this.state = 'failed';
      },
    );
    return () => this.#cancel?.();
  }

  focus(id: string): void {
    this.#focus = id;
    localStorage.setItem(remembered, id);
  }

  find(id: string): Host | null {
    return this.all.find((host) => host.id === id) ?? null;
  }

  /** Adds a host and puts it in focus. @throws Failure */
  async add(said: HostWishes): Promise<Host> {
    const { host } = await call('AddHost', wishes(said));
    this.focus(host.id);
    return host;
  }

  /** @throws Failure */
  async edit(id: string, said: HostWishes): Promise<void> {
    await call('EditHost', { id, ...wishes(said) });
  }

  /** @throws Failure */
  async remove(id: string): Promise<void> {
    await call('RemoveHost', { id });
  }

  /** @throws Failure */
  async connect(id: string): Promise<void> {
    await call('Connect', { id });
  }

  /** @throws Failure */
  async disconnect(id: string): Promise<void> {
    await call('Disconnect', { id });
  }
}
