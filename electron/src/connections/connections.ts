// SPDX-License-Identifier: Apache-2.0
/**
 * One connection for each host of the list, the state shown of it, and all questions to its agent. A
 * connected agent answers; otherwise the replica does.
 */
import { ConnectionLost } from '@luo-console/agent/varlink';
import type { HostEntry, HostFields, HostList } from '../hosts/host-list.ts';
import type { Host } from '../interface/bridge.generated.ts';
import { ConsoleError } from '../interface/errors.ts';
import type { JournalCopy } from '../replica/journal-copy.ts';
import { syncJournal } from '../replica/journal-sync.ts';
import type { Replica } from '../replica/replica.ts';
import { checkMethod } from './agent-methods.ts';
import { Changes } from './changes.ts';
import type { Clock } from './clock.ts';
import { HostConnection } from './host-connection.ts';
import type { AgentLink, Connector } from './link.ts';
import { ask } from './older-agents.ts';
import { createRefresher, type Refresher } from './refresh.ts';
import { wasUpdating } from './update-phase.ts';

type Fields = Record<string, unknown>;

export interface ConnectionsOptions {
  readonly hosts: HostList;
  readonly replica: Replica;
  readonly clock: Clock;
  readonly connectorFor: (host: HostEntry) => Connector;
  readonly log: (message: string) => void;
}

/** An answer of an agent, or of the replica in its place. */
export interface Reading {
  readonly parameters: Fields;
  readonly live: boolean;
  /** When it was true, in microseconds since the Unix epoch. */
  readonly asOfUs: number;
}

async function* exportedLines(link: AgentLink): AsyncGenerator<string> {
  for await (const reply of link.stream('ExportJournal', {})) yield reply['lines'] as string;
}

function* copiedLines(copy: JournalCopy): Generator<string> {
  for (const entry of copy.walk()) yield `${JSON.stringify(entry)}\n`;
}

export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #connections = new Map<string, HostConnection>();
  readonly #changes = new Changes();

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    for (const host of options.hosts.all()) this.#connections.set(host.id, this.#create(host));
  }

  /** Everything that is shown of one host. @throws ConsoleError HostNotFound */
  view(id: string): Host {
    const entry = this.#options.hosts.get(id);
    return { ...entry, ...this.#of(id).view };
  }

  /** All hosts now, and again whenever something about one of them has changed. */
  async *watch(signal: AbortSignal): AsyncGenerator<{ hosts: Host[] }> {
    for await (const _ of this.#changes.follow(signal)) {
      yield { hosts: this.#options.hosts.all().map(({ id }) => this.view(id)) };
    }
  }

  /** Makes room for a host that was just added to the list. */
  added(host: HostEntry): Host {
    this.#connections.set(host.id, this.#create(host));
    this.#changes.announce();
    return this.view(host.id);
  }

  /** Edits a host. One that was connected another way is connected again. @throws ConsoleError */
  async edit(id: string, fields: HostFields): Promise<Host> {
    const before = this.#options.hosts.get(id);
    const after = this.#options.hosts.edit(id, fields);
    if (after.address !== before.address || after.sshConfig !== before.sshConfig) {
      const old = this.#of(id);
      const wasOn = old.view.state !== 'disconnected' && old.view.state !== 'failed';
      await old.disconnect();
      const fresh = this.#create(after);
      this.#connections.set(id, fresh);
      if (wasOn) fresh.connect();
    }
    this.#changes.announce();
    return this.view(id);
  }

  /** Disconnects, and forgets the host with all that was copied from it. @throws ConsoleError HostNotFound */
  async remove(id: string): Promise<void> {
    this.#options.hosts.get(id);
    await this.#of(id).disconnect();
    this.#options.hosts.remove(id);
    this.#connections.delete(id);
    this.#options.replica.forget(id);
    this.#changes.announce();
  }

  /** @throws ConsoleError HostNotFound */
  connect(id: string): void {
    this.#options.hosts.get(id);
    this.#of(id).connect();
  }

  /** Connects to every host that was in the middle of a live update when an earlier run of the console ended. */
  resume(): void {
    const nowUs = this.#options.clock.nowUs();
    for (const connection of this.#connections.values())
      if (wasUpdating(connection.view, nowUs)) connection.connect();
  }

  /** @throws ConsoleError HostNotFound */
  async disconnect(id: string): Promise<void> {
    this.#options.hosts.get(id);
    await this.#of(id).disconnect();
  }

  async disconnectAll(): Promise<void> {
    await Promise.all([...this.#connections.values()].map((connection) => connection.disconnect()));
  }

  /** @throws ConsoleError HostNotFound, NotConnected, MethodNotAllowed; the agent's errors */
  async call(id: string, method: string, parameters: Fields): Promise<Fields> {
    checkMethod(method, 'call');
    try {
      return await this.#linkOf(id).call(method, parameters);
    } catch (error) {
      throw this.#lossOf(id, error);
    }
  }

  /** @throws as `call` does */
  async *follow(id: string, method: string, parameters: Fields, signal: AbortSignal): AsyncGenerator<Fields> {
    checkMethod(method, 'follow');
    try {
      yield* this.#linkOf(id).stream(method, parameters, signal);
    } catch (error) {
      throw this.#lossOf(id, error);
    }
  }

  /** @throws ConsoleError HostNotFound, MethodNotAllowed, NothingKnown; the agent's errors while connected */
  async read(id: string, method: string, parameters: Fields): Promise<Reading> {
    checkMethod(method, 'read');
    this.#options.hosts.get(id);
    const { link } = this.#of(id);
    if (!link) return this.#known(id, method, parameters);
    try {
      const reply = await ask(link, method, parameters);
      const atUs = this.#options.clock.nowUs();
      // The journal has a separate copy; pages of it would only be kept twice.
      if (method !== 'QueryJournal') this.#options.replica.keep(id, method, parameters, { reply, atUs });
      return { parameters: reply, live: true, asOfUs: atUs };
    } catch (error) {
      // Lost while it was asked: the replica answers, as it would have a moment later.
      if (this.#of(id).link === link) throw error;
      return this.#known(id, method, parameters);
    }
  }

  /**
   * The journal of a host as JSON Lines, in pieces: from its agent, or from the copy while it is away.
   *
   * @throws ConsoleError HostNotFound; NothingKnown if it is away and was never copied
   */
  journalLines(id: string): AsyncIterable<string> | Iterable<string> {
    const { name } = this.#options.hosts.get(id);
    const { link } = this.#of(id);
    if (link) return exportedLines(link);
    const copy = this.#options.replica.journal(id);
    if (copy.end() !== null) return copiedLines(copy);
    const message = `${name} is not connected, and its journal was never copied.`;
    throw new ConsoleError('NothingKnown', { id, method: 'ExportJournal' }, message);
  }

  #known(id: string, method: string, parameters: Fields): Reading {
    const known = this.#options.replica.answer(id, method, parameters);
    if (known) return { parameters: known.reply, live: false, asOfUs: known.atUs };
    const { name } = this.#options.hosts.get(id);
    const message = `${name} is not connected, and nothing is known of its answer to ${method}.`;
    throw new ConsoleError('NothingKnown', { id, method }, message);
  }

  /** NotConnected in place of the end of a connection; every other error as it is. */
  #lossOf(id: string, error: unknown): unknown {
    if (!(error instanceof ConnectionLost)) return error;
    const { name } = this.#options.hosts.get(id);
    const { state } = this.#of(id).view;
    const message = `The connection to ${name} ended before it had answered.`;
    // The answer may fail a moment before the connection is known to be lost.
    return new ConsoleError('NotConnected', { id, state: state === 'connected' ? 'away' : state }, message);
  }

  /** The link to a connected host. @throws ConsoleError HostNotFound, NotConnected */
  #linkOf(id: string): AgentLink {
    const { name } = this.#options.hosts.get(id);
    const { link, view } = this.#of(id);
    if (link) return link;
    throw new ConsoleError('NotConnected', { id, state: view.state }, `${name} is ${view.state}.`);
  }

  #of(id: string): HostConnection {
    const connection = this.#connections.get(id);
    if (!connection) throw new Error(`host ${id} has no connection`);
    return connection;
  }

  #create(host: HostEntry): HostConnection {
    const { replica, clock, connectorFor } = this.#options;
    const keep = (method: string, parameters: Fields, reply: Fields) =>
      replica.keep(host.id, method, parameters, { reply, atUs: clock.nowUs() });
    let refresher: Refresher | null = null;
    const connection: HostConnection = new HostConnection({
      connector: connectorFor(host),
      clock,
      lastStatus: replica.lastStatus(host.id),
      onChange: () => this.#changes.announce(),
      onStatus: (status) => {
        keep('GetStatus', {}, { status });
        refresher?.note(status);
      },
      onLink: async (link, signal) => {
        const log = (message: string) => {
          if (!signal.aborted) this.#options.log(`${host.name}: ${message}`);
        };
        const keepWhileHere: typeof keep = (...answer) => {
          if (!signal.aborted) keep(...answer);
        };
        refresher = createRefresher({ link, keep: keepWhileHere, log });
        if (connection.view.status) refresher.note(connection.view.status);
        const leave = () => {
          refresher = null;
        };
        signal.addEventListener('abort', leave, { once: true });
        await this.#copyJournal(host, connection, link, signal);
      },
    });
    return connection;
  }

  async #copyJournal(
    host: HostEntry,
    connection: HostConnection,
    source: AgentLink,
    signal: AbortSignal,
  ): Promise<void> {
    const { replica, clock, log } = this.#options;
    const onReplaced = (message: string) => {
      log(`${host.name}: ${message}`);
      connection.say(message);
    };
    try {
      const copy = replica.journal(host.id);
      await syncJournal({ source, copy, nowUs: clock.nowUs, signal, onReplaced });
    } catch (error) {
      // A lost link is not the journal's fault, and its holder reports it.
      if (!signal.aborted && connection.link === source)
        onReplaced(`The journal could not be copied: ${(error as Error).message}`);
    }
  }
}
