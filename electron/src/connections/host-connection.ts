// SPDX-License-Identifier: Apache-2.0
/**
 * The connection to one host, from the person's `connect` until their `disconnect`. One loop opens a
 * link, stays on it until it is lost, and opens the next. Once connected it never gives up by itself:
 * a host that replaces its kernel is away for as long as that takes. The same goes for a host whose last word, to an
 * earlier run of the console, was that it is about to.
 */
import type { Status } from '@luo-console/agent/interface';
import type { ConnectionState } from '../interface/bridge.generated.ts';
import { createBackoff } from './backoff.ts';
import type { Clock } from './clock.ts';
import type { AgentLink, Connector, OpenedLink } from './link.ts';
import { type ConnectionEvent, nextState } from './transitions.ts';
import { isExpectedBack, kexecIsDue, lossDetail } from './update-phase.ts';
import { watchLiveness } from './watchdog.ts';

/** What is shown of a connection. */
export interface ConnectionView {
  readonly state: ConnectionState;
  /** One sentence, or all that ssh said; empty if there is nothing to say. */
  readonly detail: string;
  /** When `state` was entered, in microseconds since the Unix epoch. */
  readonly sinceUs: number;
  /** A terminal in which ssh waits for an answer. */
  readonly prompt: string | null;
  readonly status: Status | null;
  readonly statusAtUs: number | null;
}

export interface ConnectionOptions {
  readonly connector: Connector;
  readonly clock: Clock;
  /** What was known of the host before, from the replica. */
  readonly lastStatus: { readonly status: Status; readonly atUs: number } | null;
  readonly onChange: () => void;
  readonly onStatus: (status: Status, atUs: number) => void;
  /** Runs beside the connection until `signal` aborts; never rejects. */
  readonly onLink: (link: AgentLink, signal: AbortSignal) => Promise<void>;
}

export class HostConnection {
  readonly #options: ConnectionOptions;
  #view: ConnectionView;
  #link: AgentLink | null = null;
  #run: AbortController | null = null;
  /** Settles when the last loop has let go of everything. */
  #finished: Promise<void> = Promise.resolve();

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#view = {
      state: 'disconnected',
      detail: '',
      sinceUs: options.clock.nowUs(),
      prompt: null,
      status: options.lastStatus?.status ?? null,
      statusAtUs: options.lastStatus?.atUs ?? null,
    };
  }

  get view(): ConnectionView {
    return this.#view;
  }

  /** The link while connected, otherwise null. */
  get link(): AgentLink | null {
    return this.#link;
  }

  /** Starts connecting. Does nothing if it is connected, connecting or away. */
  connect(): void {
    if (nextState(this.#view.state, 'connect') === null) return;
    this.#enter('connect', '');
    const run = new AbortController();
    this.#run = run;
    const previous = this.#finished;
    this.#finished = previous.then(() => this.#keepConnected(run.signal));
  }

  /** Ends the connection, or stops trying. Resolves once everything is let go of. */
  async disconnect(): Promise<void> {
    this.#run?.abort();
    this.#run = null;
    this.#link = null;
    if (nextState(this.#view.state, 'disconnect') !== null) this.#enter('disconnect', '', { prompt: null });
    await this.#finished;
  }

  /** Adds a sentence to what is shown while the state stays as it is. */
  say(detail: string): void {
    this.#change({ detail });
  }

  async #keepConnected(signal: AbortSignal): Promise<void> {
    const backoff = createBackoff();
    while (!signal.aborted) {
      const opened = await this.#open(signal);
      if (signal.aborted) {
        await opened?.link.close();
        return;
      }
      if (opened) {
        backoff.reset();
        const reason = await this.#stay(opened, signal);
        if (signal.aborted) return;
        this.#enter('lost', lossDetail(this.#view.status, reason));
      } else if (this.#view.state === 'failed') {
        return;
      } else {
        await this.#options.clock.sleep(backoff.next(), signal);
      }
    }
  }

  /** One attempt. Null if it failed, in which case the view says why. */
  async #open(signal: AbortSignal): Promise<OpenedLink | null> {
    const patient = this.#view.state === 'away';
    try {
      const onPrompt = (prompt: string | null) => {
        if (!signal.aborted) this.#change({ prompt });
      };
      return await this.#options.connector.open({ signal, patient, onPrompt });
    } catch (error) {
      if (signal.aborted) return null;
      const message = error instanceof Error ? error.message : String(error);
      if (patient) this.#change({ detail: lossDetail(this.#view.status, message), prompt: null });
      else if (isExpectedBack(this.#view, this.#options.clock.nowUs()))
        this.#enter('lost', lossDetail(this.#view.status, message), { prompt: null });
      else this.#enter('refused', message, { prompt: null });
      return null;
    }
  }

  /** Follows the host until the link is lost; says why it was. */
  async #stay({ link, status }: OpenedLink, signal: AbortSignal): Promise<string> {
    this.#link = link;
    this.#enter('up', '', { prompt: null });
    this.#take(status);
    const over = new AbortController();
    const stop = () => over.abort();
    signal.addEventListener('abort', stop, { once: true });
    const beside = this.#options.onLink(link, over.signal);
    try {
      return await Promise.race([
        link.closed,
        this.#followStatus(link, over.signal),
        watchLiveness({
          link,
          clock: this.#options.clock,
          signal: over.signal,
          due: () => kexecIsDue(this.#view.status),
        }),
        new Promise<string>((resolve) =>
          over.signal.addEventListener('abort', () => resolve('Disconnected'), { once: true }),
        ),
      ]);
    } finally {
      signal.removeEventListener('abort', stop);
      over.abort();
      this.#link = null;
      await link.close();
      await beside;
    }
  }

  async #followStatus(link: AgentLink, signal: AbortSignal): Promise<string> {
    try {
      for await (const reply of link.stream('GetStatus', {}, signal)) {
        if (signal.aborted) break;
        this.#take(reply['status'] as Status);
      }
      return 'The agent ended the connection';
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  #take(status: Status): void {
    const statusAtUs = this.#options.clock.nowUs();
    this.#change({ status, statusAtUs });
    this.#options.onStatus(status, statusAtUs);
  }

  #enter(event: ConnectionEvent, detail: string, more: Partial<ConnectionView> = {}): void {
    const state = nextState(this.#view.state, event);
    if (state === null) throw new Error(`a connection that is ${this.#view.state} cannot take "${event}"`);
    this.#change({ ...more, state, detail, sinceUs: this.#options.clock.nowUs() });
  }

  #change(change: Partial<ConnectionView>): void {
    this.#view = { ...this.#view, ...change };
    this.#options.onChange();
  }
}
