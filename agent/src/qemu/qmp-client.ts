// SPDX-License-Identifier: Apache-2.0
/**
 * A client of QEMU's monitor protocol (QMP): lines of JSON over a Unix socket. QEMU greets, and the client ends the
 * negotiation of capabilities. From then on QEMU answers each command with a `return` or an `error` that has the
 * command's id. Events come in between.
 *
 * The other end runs with the rights of the machine's user, so the client trusts nothing it says. Lines are limited in
 * length, each answer is validated, and every wait has an end. It is spoken to only if the process that listens is the
 * VMM. A monitor admits one client at a time and lets the next one wait without a word. A connection without a greeting
 * is given up as `busy`.
 */
import { EventEmitter } from 'node:events';
import { Socket } from 'node:net';
import type { Descriptor } from '@luo-console/native';
import * as v from 'valibot';
import { connectToProcess, type ProcessSocket, Stranger } from '../host/peer.ts';
import { saidBy } from '../host/said-by.ts';
import { type MonitorCommand, monitorCommands } from './monitor-commands.ts';

/**
 * Why a monitor was of no use: it could not be reached, is another process's, has another client, says nothing, says
 * what is no QMP, refused a command, or ended the connection.
 */
export type QmpFailure = 'unreachable' | 'stranger' | 'busy' | 'silent' | 'malformed' | 'refused' | 'ended';

export class QmpError extends Error {
  readonly failure: QmpFailure;

  constructor(failure: QmpFailure, message: string) {
    super(message);
    this.name = 'QmpError';
    this.failure = failure;
  }
}

export interface QmpOptions {
  /** How long to wait for the greeting, in ms. */
  readonly greetingMs?: number;
  /** How long to wait for each answer, in ms. */
  readonly answerMs?: number;
  /** Longest line taken, in bytes. */
  readonly lineBytes?: number;
}

const usual = { greetingMs: 2000, answerMs: 5000, lineBytes: 4 * 1024 * 1024 };

const Version = v.object({
  qemu: v.object({ major: v.number(), minor: v.number(), micro: v.number() }),
  package: v.optional(v.string(), ''),
});
// In the order in which they count while a machine is stopped: the first that fits is taken.
const Message = v.union([
  v.object({ event: v.string(), data: v.optional(v.record(v.string(), v.unknown()), {}) }),
  v.object({ id: v.optional(v.number()), error: v.object({ class: v.string(), desc: v.string() }) }),
  v.object({ id: v.number(), return: v.unknown() }),
  v.object({ QMP: v.object({ version: Version }) }),
]);
type Message = v.InferOutput<typeof Message>;

export interface QmpEvent {
  readonly event: string;
  readonly data: Record<string, unknown>;
}

interface Waiting {
  readonly take: (answer: unknown) => void;
  readonly fail: (error: QmpError) => void;
}

/** What a command is called among the ones that wait; the greeting answers no command. */
const greetingId = 0;

export class QmpClient {
  /** Emits `event` with a `QmpEvent`, and `end` once the connection is over. */
  readonly events = new EventEmitter();
  readonly #socket: Socket;
  readonly #options: Required<QmpOptions>;
  readonly #waiting = new Map<number, Waiting>();
  readonly #pieces: Buffer[] = [];
  #held = 0;
  #nextId = 1;
  #over: QmpError | null = null;
  #version = '';

  private constructor(connection: Descriptor, options: QmpOptions) {
    this.#options = { ...usual, ...options };
    this.#socket = new Socket({ fd: connection.release(), readable: true, writable: true });
    this.#socket.on('data', (piece) => this.#receive(piece));
    this.#socket.on('error', ({ message }) => this.#end(new QmpError('unreachable', message)));
    this.#socket.on('close', () => this.#end(new QmpError('ended', 'the monitor closed the connection')));
  }

  /**
   * Connects and negotiates.
   *
   * @param monitor its path has at most 107 bytes, as unix(7) has it
   * @throws QmpError `unreachable`, `stranger` (another process listens there), `busy` (no greeting came), `malformed`,
   *   `ended`, `silent`, `refused`
   */
  static async open(monitor: ProcessSocket, options: QmpOptions = {}): Promise<QmpClient> {
    const client = new QmpClient(connect(monitor), options);
    try {
      const busy = new QmpError('busy', 'it does not greet: another client is connected to it');
      await client.#answer(greetingId, client.#options.greetingMs, busy);
      await client.execute('qmp_capabilities', v.unknown());
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** QEMU's version as it greeted with, for example `11.1.3`. */
  get version(): string {
    return this.#version;
  }

  /**
   * Runs a command.
   *
   * @param schema what its return value must look like
   * @param signal ends the wait for the answer; QEMU may do it all the same
   * @throws QmpError `refused` with QEMU's words, `malformed` if the return value is another, `silent`, `ended`; the
   *   signal's reason
   */
  async execute<S extends v.GenericSchema>(
    command: string,
    schema: S,
    parameters?: Readonly<Record<string, unknown>>,
    signal?: AbortSignal,
  ): Promise<v.InferOutput<S>> {
    if (this.#over) throw this.#over;
    signal?.throwIfAborted();
    const id = this.#nextId++;
    const silent = new QmpError('silent', `${command}: no answer in ${this.#options.answerMs} ms`);
    const answer = this.#answer(id, this.#options.answerMs, silent, signal);
    const told = (problem: string | null): void =>
      monitorCommands.publish({ command, problem } satisfies MonitorCommand);
    if (monitorCommands.hasSubscribers)
      answer.then(
        () => told(null),
        (error: unknown) => told(saidBy(error)),
      );
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: parameters, id })}\n`);
    const parsed = v.safeParse(schema, await answer);
    if (parsed.success) return parsed.output;
    throw new QmpError('malformed', `${command}: ${parsed.issues[0].message}`);
  }

  /** Reads nothing until `resume`. A command that is given meanwhile has no answer before. */
  pause(): void {
    this.#socket.pause();
  }

  /** Reads on. */
  resume(): void {
    this.#socket.resume();
  }

  /** Ends the connection; commands that wait fail. */
  close(): void {
    this.#end(new QmpError('ended', 'the connection was closed here'));
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #answer(id: number, limitMs: number, onSilence: QmpError, signal?: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const aborted = (): void => settle(() => reject(signal?.reason));
      const timer = setTimeout(() => settle(() => reject(onSilence)), limitMs);
      const settle = (result: () => void): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', aborted);
        this.#waiting.delete(id);
        result();
      };
      signal?.addEventListener('abort', aborted);
      this.#waiting.set(id, {
        take: (answer) => settle(() => resolve(answer)),
        fail: (error) => settle(() => reject(error)),
      });
    });
  }

  #receive(piece: Buffer): void {
    let rest = piece;
    for (let end = rest.indexOf(10); end >= 0 && !this.#over; end = rest.indexOf(10)) {
      const line = Buffer.concat([...this.#pieces.splice(0), rest.subarray(0, end)]);
      this.#held = 0;
      rest = rest.subarray(end + 1);
      this.#take(line.toString('utf8'));
    }
    if (this.#over || rest.length === 0) return;
    this.#pieces.push(rest);
    this.#held += rest.length;
    const { lineBytes } = this.#options;
    if (this.#held > lineBytes) this.#end(new QmpError('malformed', `a line over ${lineBytes} bytes`));
  }

  #take(line: string): void {
    if (line.trim() === '') return;
    const message = readMessage(line);
    if (message === null) {
      this.#end(new QmpError('malformed', `no message of QMP: ${JSON.stringify(line.slice(0, 80))}`));
    } else if ('QMP' in message) {
      const { major, minor, micro } = message.QMP.version.qemu;
      this.#version = `${major}.${minor}.${micro}`;
      this.#waiting.get(greetingId)?.take(null);
    } else if ('event' in message) {
      this.events.emit('event', message satisfies QmpEvent);
    } else if ('error' in message) {
      // QEMU leaves the id out where it could not read the command: then the oldest one is meant.
      const id = message.id ?? Math.min(...this.#waiting.keys());
      this.#waiting.get(id)?.fail(new QmpError('refused', message.error.desc));
    } else {
      this.#waiting.get(message.id)?.take(message.return);
    }
  }

  #end(error: QmpError): void {
    if (this.#over) return;
    this.#over = error;
    this.#pieces.length = 0;
    this.#socket.destroy();
    for (const { fail } of [...this.#waiting.values()]) fail(error);
    this.events.emit('end');
  }
}

/** @throws QmpError `unreachable`, `stranger` */
function connect(monitor: ProcessSocket): Descriptor {
  try {
    return connectToProcess(monitor);
  } catch (error) {
    throw new QmpError(error instanceof Stranger ? 'stranger' : 'unreachable', saidBy(error));
  }
}

function readMessage(line: string): Message | null {
  try {
    return v.parse(Message, JSON.parse(line));
  } catch {
    return null;
  }
}
