// SPDX-License-Identifier: Apache-2.0
/** A service manager that answers what a test tells it to, on a real socket, and keeps what it was asked. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type BusMessage, type BusValue, messageKind, readMessage, writeMessage } from './bus-message.ts';

const empty: BusMessage = {
  ...{
    kind: 0,
    serial: 0,
    replyTo: 0,
    path: '',
    interface: '',
    member: '',
    error: '',
    signature: '',
    body: [],
  },
};

/** A job that the manager has: its path, and the unit that it is for. */
interface Job {
  readonly path: string;
  readonly unit: string;
}

/**
 * What becomes of a call: its job ends with a result, or it is refused by an error of that name. It may be answered with
 * a list of jobs, of which those named in `ends` end once that resolves, or with a value. Or the connection is ended.
 */
export type Fate =
  | { readonly result: string }
  | { readonly error: string; readonly words: string }
  | { readonly jobs: readonly Job[]; readonly ends: Promise<string> }
  | { readonly signature: string; readonly value: BusValue }
  | 'hang up';

export interface FakeManager {
  readonly path: string;
  readonly calls: BusMessage[];
}

class Client {
  #serial = 0;
  readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  readonly #removed = {
    ...{ kind: messageKind.signal, member: 'JobRemoved', signature: 'uoss' },
    ...{ path: '/org/freedesktop/systemd1', interface: 'org.freedesktop.systemd1.Manager' },
  };

  send(message: Partial<BusMessage>): void {
    this.#serial += 1;
    this.socket.write(writeMessage({ ...empty, ...message, serial: this.#serial }));
  }

  async answer({ serial, member }: BusMessage, fate: Fate): Promise<void> {
    if (fate === 'hang up') {
      this.socket.destroy();
      return;
    }
    if ('jobs' in fate) {
      const rows = fate.jobs.map(({ path, unit }, id) => [id, unit, 'start', 'running', path, '/unit']);
      this.send({ kind: messageKind.reply, replyTo: serial, signature: 'a(usssoo)', body: [rows] });
      const path = await fate.ends;
      this.send({ ...this.#removed, body: [9, path, 'a.service', 'done'] });
      return;
    }
    if ('value' in fate) {
      const { signature, value } = fate;
      this.send({ kind: messageKind.reply, replyTo: serial, signature, body: [value] });
      return;
    }
    if ('error' in fate) {
      const { error, words } = fate;
      this.send({ kind: messageKind.error, replyTo: serial, error, signature: 's', body: [words] });
      return;
    }
    const job = `/org/freedesktop/systemd1/job/${serial}`;
    // Another's job, and news in types that are of no interest, must not be taken for the answer.
    this.send({ ...this.#removed, body: [1, '/org/freedesktop/systemd1/job/1', 'other.service', 'failed'] });
    this.send({ kind: messageKind.reply, replyTo: serial, signature: 'o', body: [job] });
    this.send({ ...this.#removed, body: [serial, job, member, fate.result] });
  }
}

/** @param fate of every call, or of each, which may be decided later */
export async function fakeManager(
  fate: Fate | ((call: BusMessage) => Fate | Promise<Fate>),
): Promise<FakeManager> {
  const folder = mkdtempSync(join(tmpdir(), 'manager-'));
  const path = join(folder, 'private');
  const calls: BusMessage[] = [];
  const server = createServer((socket) => {
    const client = new Client(socket);
    let held = Buffer.alloc(0);
    let greeted = false;
    socket.on('error', () => undefined);
    socket.on('data', (piece) => {
      held = Buffer.concat([held, piece]);
      if (!greeted) {
        // As the real one, which leaves lying what comes with the greeting's end.
        if (held.toString('latin1') !== '\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n') return;
        greeted = true;
        held = Buffer.alloc(0);
        socket.write(`DATA\r\nOK ${'0'.repeat(32)}\r\n`);
        return;
      }
      for (let next = readMessage(held); next !== null; next = readMessage(held)) {
        held = held.subarray(next.length);
        calls.push(next.message);
        const { message } = next;
        const decided = Promise.resolve(typeof fate === 'function' ? fate(message) : fate);
        void decided.then((each) => client.answer(message, each));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(async () => {
    await new Promise((resolve) => server.close(resolve));
    rmSync(folder, { recursive: true });
  });
  return { path, calls };
}
