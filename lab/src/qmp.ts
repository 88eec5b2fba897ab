// SPDX-License-Identifier: Apache-2.0
/**
 * QEMU's monitor. QMP is lines of JSON over a Unix socket. QEMU greets, and the client leaves capability negotiation.
 * From then on each request gets a `return` or an `error`, with events in between. QEMU serves one monitor client at a
 * time, so a connection is kept only while it is needed.
 */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

interface Message {
  readonly QMP?: unknown;
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
  readonly event?: string;
  readonly data?: unknown;
}

/** A conversation with one QEMU. One request at a time; events are kept until they are waited for. */
export class QemuMonitor implements Disposable {
  readonly #socket: Socket;
  readonly #messages: AsyncIterator<string>;
  readonly #events: Message[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#messages = createInterface({ input: socket })[Symbol.asyncIterator]();
  }

  /**
   * Begins the conversation on a connection to a monitor.
   *
   * @param socket connected; closed when the conversation is disposed of
   */
  static async on(socket: Socket): Promise<QemuMonitor> {
    const monitor = new QemuMonitor(socket);
    try {
      while (!('QMP' in (await monitor.#next('a greeting'))));
      await monitor.ask('qmp_capabilities');
    } catch (error) {
      monitor[Symbol.dispose]();
      throw error;
    }
    return monitor;
  }

  /**
   * Asks QEMU something.
   *
   * @param command QMP command, such as `query-chardev`
   * @param args its arguments
   * @returns what it returns
   * @throws Error with QEMU's description when it refuses, or when it closes its monitor
   */
  async ask(command: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    for (;;) {
      const message = await this.#next(command);
      if (message.error) throw new Error(`QEMU refused ${command}: ${message.error.desc}`);
      if (message.return !== undefined) return message.return;
      this.#events.push(message);
    }
  }

  /**
   * Waits for an event, unless it has come since the last one of its name that was waited for.
   *
   * @param name of the event, such as `MIGRATION`
   * @returns its data
   * @throws Error when QEMU closes its monitor first
   */
  async nextEvent(name: string): Promise<unknown> {
    const seen = this.#events.findIndex(({ event }) => event === name);
    if (seen >= 0) return this.#events.splice(0, seen + 1).at(-1)?.data;
    for (;;) {
      const message = await this.#next(`event ${name}`);
      if (message.event === name) return message.data;
    }
  }

  async #next(wanted: string): Promise<Message> {
    const { done, value } = await this.#messages.next();
    if (done) throw new Error(`QEMU closed its monitor without answering ${wanted}`);
    return JSON.parse(value) as Message;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

/**
 * Connects to the monitor of a running QEMU.
 *
 * @param path of the monitor's socket
 * @throws Error when it cannot be reached
 */
export async function connectMonitor(path: string): Promise<QemuMonitor> {
  const socket = connect(path);
  await once(socket, 'connect');
  return QemuMonitor.on(socket);
}
