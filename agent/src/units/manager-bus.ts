// SPDX-License-Identifier: Apache-2.0
/**
 * The service manager on its private socket. Root can use it as long as the manager lives: before D-Bus starts, and
 * after it ends. The manager speaks D-Bus there without a bus in between, and sends every signal to every client.
 * Calling it directly costs a fraction of starting one of its programs. That matters because machines are started while
 * their guests are stopped.
 */
import { connect, type Socket } from 'node:net';
import { type BusMessage, type BusValue, messageKind, readMessage, writeMessage } from './bus-message.ts';

/** systemd's src/libsystemd/sd-bus and src/core/dbus.c: `bus_init_private`. */
const privateSocket = '/run/systemd/private';

const manager = { path: '/org/freedesktop/systemd1', interface: 'org.freedesktop.systemd1.Manager' };

/** The service manager refused, in its own words. `code` is the name of its error. */
export class ManagerRefusal extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'ManagerRefusal';
    this.code = code;
  }
}

interface Waiting {
  readonly take: (message: BusMessage) => void;
  readonly fail: (error: Error) => void;
}

/** How a job ended: `done`, `failed`, `timeout`, `dependency`, … (org.freedesktop.systemd1(5), JobRemoved). */
type JobResult = string;

export class ManagerBus {
  readonly #socket: Socket;
  #held: Buffer = Buffer.alloc(0);
  /**
   * What waits for the answer to the greeting; null once that has come. sd-bus does not look at a message that
   * it read together with the end of the greeting before something else comes.
   */
  #unsent: Buffer[] | null = [];
  #serial = 0;
  #over: Error | null = null;
  readonly #calls = new Map<number, Waiting>();
  readonly #ended = new Map<string, JobResult>();
  readonly #jobs = new Map<string, { take: (result: JobResult) => void; fail: (error: Error) => void }>();

  private constructor(path: string) {
    this.#socket = connect(path);
    this.#socket.on('data', (piece) => this.#receive(piece));
    this.#socket.on('error', (error) => this.#end(error));
    this.#socket.on('close', () => this.#end(new Error('the service manager ended the connection')));
    // EXTERNAL with no name: the manager asks the kernel who we are. All at once, as the answer is known.
    this.#socket.write('\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n');
  }

  /** Connects; what goes wrong shows with the first call. */
  static open(path: string = privateSocket): ManagerBus {
    return new ManagerBus(path);
  }

  /**
   * Calls a method of the manager.
   *
   * @param target another object and interface of it
   * @returns the values of its reply
   * @throws ManagerRefusal; Error if the connection ends
   */
  async call(
    member: string,
    signature: string,
    body: readonly BusValue[],
    target: { readonly path: string; readonly interface: string } = manager,
  ): Promise<readonly BusValue[]> {
    if (this.#over !== null) throw this.#over;
    this.#serial += 1;
    const serial = this.#serial;
    const reply = new Promise<BusMessage>((take, fail) => this.#calls.set(serial, { take, fail }));
    const message = {
      kind: messageKind.call,
      serial,
      replyTo: 0,
      ...target,
      member,
      error: '',
      signature,
      body,
    };
    const bytes = writeMessage(message);
    if (this.#unsent === null) this.#socket.write(bytes);
    else this.#unsent.push(bytes);
    const answer = await reply;
    if (answer.kind === messageKind.reply) return answer.body;
    throw new ManagerRefusal(answer.error, String(answer.body[0] ?? answer.error));
  }

  /**
   * Calls a method that answers with a job, and waits until that has ended.
   *
   * @returns how it ended, `done` if well
   * @throws as `call`
   */
  async run(member: string, signature: string, body: readonly BusValue[]): Promise<JobResult> {
    return await this.ended(String((await this.call(member, signature, body))[0]));
  }

  /**
   * Waits until a job has ended that was there while this connection was.
   *
   * @param job its path
   * @returns how it ended, `done` if well
   * @throws Error if the connection ends
   */
  async ended(job: string): Promise<JobResult> {
    return await new Promise((take, fail) => {
      const ended = this.#ended.get(job);
      if (ended !== undefined) take(ended);
      else if (this.#over !== null) fail(this.#over);
      else this.#jobs.set(job, { take, fail });
    });
  }

  /** @param reason what calls that wait fail with */
  close(reason = new Error('the connection was closed here')): void {
    this.#end(reason);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #receive(piece: Buffer): void {
    this.#held = this.#held.length === 0 ? piece : Buffer.concat([this.#held, piece]);
    try {
      if (this.#unsent !== null && !this.#greeted(this.#unsent)) return;
      for (let next = readMessage(this.#held); next !== null; next = readMessage(this.#held)) {
        this.#held = this.#held.subarray(next.length);
        this.#take(next.message);
      }
    } catch (error) {
      this.#end(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Takes the lines before the first message. @throws Error if the manager does not want us */
  #greeted(unsent: readonly Buffer[]): boolean {
    for (let end = this.#held.indexOf('\r\n'); end >= 0; end = this.#held.indexOf('\r\n')) {
      const line = this.#held.toString('latin1', 0, end);
      this.#held = this.#held.subarray(end + 2);
      if (line.startsWith('OK ')) {
        this.#unsent = null;
        for (const message of unsent) this.#socket.write(message);
        return true;
      }
      if (line !== 'DATA') throw new Error(`the service manager does not admit us: ${line.slice(0, 80)}`);
    }
    return false;
  }

  #take(message: BusMessage): void {
    const { kind, replyTo, member, body } = message;
    if (kind === messageKind.reply || kind === messageKind.error) {
      this.#calls.get(replyTo)?.take(message);
      this.#calls.delete(replyTo);
    } else if (
      kind === messageKind.signal &&
      member === 'JobRemoved' &&
      message.interface === manager.interface
    ) {
      // Its number, its path, its unit, and how it ended.
      const [, job, , result] = body.map(String);
      if (job === undefined || result === undefined) return;
      const waiting = this.#jobs.get(job);
      if (waiting === undefined) this.#ended.set(job, result);
      else waiting.take(result);
      this.#jobs.delete(job);
    }
  }

  #end(error: Error): void {
    if (this.#over !== null) return;
    this.#over = error;
    this.#socket.destroy();
    for (const { fail } of [...this.#calls.values(), ...this.#jobs.values()]) fail(error);
    this.#calls.clear();
    this.#jobs.clear();
  }
}
