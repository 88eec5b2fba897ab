// SPDX-License-Identifier: Apache-2.0
/**
 * A link over a Unix socket on this machine: the agent's own, or one that ssh forwards. A Varlink connection
 * answers in order, so a question must not wait behind a slow act. Each call under way has a connection to
 * itself, and so has each stream. A free connection is used again.
 */
import { AgentInterface, type AgentMethods } from '@luo-console/agent/interface';
import { type Client, connectVarlink } from '@luo-console/agent/varlink';
import * as v from 'valibot';
import type { AgentLink } from './link.ts';

type Fields = Record<string, unknown>;

/** Free connections that are kept for the next call. */
const mostIdle = 2;

function checkedReply(method: keyof AgentMethods, reply: unknown): Fields {
  const result = v.safeParse(AgentInterface.methods[method].reply, reply);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const where = v.getDotPath(issue) ?? 'the reply';
  throw new Error(
    `The agent's answer to ${method} is not what the interface says: ${where}: ${issue.message}`,
  );
}

function qualified(method: string): string {
  return `${AgentInterface.name}.${method}`;
}

export class SocketLink implements AgentLink {
  readonly closed: Promise<string>;
  readonly #path: string;
  readonly #idle: Client[] = [];
  readonly #open = new Set<Client>();
  readonly #over = Promise.withResolvers<string>();
  readonly #release: () => Promise<void>;
  readonly #ending = new AbortController();
  #released: Promise<void> = Promise.resolve();

  /**
   * @param path of a socket behind which an agent is expected; it is not touched before the first call
   * @param release frees what the socket needs, once the link has ended
   */
  constructor(path: string, release: () => Promise<void> = () => Promise.resolve()) {
    this.#path = path;
    this.#release = release;
    this.closed = this.#over.promise;
  }

  /** Aborts when the link ends. */
  get ended(): AbortSignal {
    return this.#ending.signal;
  }

  async call(method: string, parameters: Fields): Promise<Fields> {
    const client = this.#idle.pop() ?? this.#connect();
    try {
      const { reply } = await client.call(qualified(method), parameters);
      return checkedReply(method as keyof AgentMethods, reply);
    } finally {
      // Also after an error: that was an answer, and the connection is as good as before.
      if (this.#idle.length < mostIdle && this.#open.has(client)) this.#idle.push(client);
      else client.close();
    }
  }

  async *stream(method: string, parameters: Fields, signal?: AbortSignal): AsyncGenerator<Fields> {
    const client = this.#connect();
    try {
      const options = signal === undefined ? {} : { signal };
      for await (const { reply } of client.stream(qualified(method), parameters, options)) {
        yield checkedReply(method as keyof AgentMethods, reply);
      }
    } finally {
      client.close();
    }
  }

  async close(): Promise<void> {
    this.end('Disconnected');
    await this.#released;
  }

  /** Ends every connection; `reason` is what `closed` resolves with. */
  end(reason: string): void {
    if (this.ended.aborted) return;
    this.#ending.abort();
    for (const client of [...this.#open]) client.close();
    this.#over.resolve(reason);
    this.#released = this.#release();
  }

  #connect(): Client {
    if (this.ended.aborted) throw new Error('The connection to the host has ended');
    const client = connectVarlink(this.#path);
    this.#open.add(client);
    client.closed.then(() => {
      this.#open.delete(client);
      const index = this.#idle.indexOf(client);
      if (index >= 0) this.#idle.splice(index, 1);
    });
    return client;
  }
}
