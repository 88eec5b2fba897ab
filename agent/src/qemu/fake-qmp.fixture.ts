// SPDX-License-Identifier: Apache-2.0
/** A monitor that says what a test tells it to, on a real socket. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '@luo-console/native';
import * as v from 'valibot';
import { onTestFinished } from 'vitest';
import type { ProcessSocket } from '../host/peer.ts';

/** What the monitor does about a command: it is given the connection, the command's id and its arguments. */
export type Answer = (socket: Socket, id: number, given?: unknown) => void;

/**
 * Comes between what the monitor hears, or does by itself, and what it does then: it may do it, later or never, or answer
 * that it cannot be done.
 *
 * @param refuse null where nobody asked
 */
export type Between = (what: string, perform: () => void, refuse: (() => void) | null) => void;

export interface FakeQmp {
  readonly path: string;
  /** The number of its listening socket in this process. */
  readonly fd: number;
  /** Connections there have been. */
  connections(): number;
  /** Names of the commands that came, in order. */
  readonly commands: string[];
  /** Ends all connections, and further ones as soon as they are made, until `answerAgain`. */
  hangUp(): void;
  answerAgain(): void;
  /** Is there no more, as at the end of the test. */
  close(): void;
  /** Sends an event to everybody who is connected. */
  tell(event: string, data?: object): void;
}

export const greeting = `${JSON.stringify({
  QMP: { version: { qemu: { major: 11, minor: 1, micro: 3 }, package: 'test' }, capabilities: [] },
})}\r\n`;

/** Answers with a value. */
export const value =
  (result: unknown): Answer =>
  (socket, id) =>
    void socket.write(`${JSON.stringify({ return: result, id })}\r\n`);

/** Refuses a command. */
export const refusal =
  (desc: string): Answer =>
  (socket, id) =>
    void socket.write(`${JSON.stringify({ id, error: { class: 'GenericError', desc } })}\r\n`);

/** A socket of this process, which it is to a client that expects nobody else. */
export const own = (path: string): ProcessSocket => ({ sockets: native.sockets, path, pid: process.pid });

export const nothing: Answer = () => {};

/** What a running machine with two processors and 64 MiB says. */
export const machineAnswers: Readonly<Record<string, Answer>> = {
  'query-name': value({ name: 'guest one' }),
  'query-status': value({ status: 'running', running: true }),
  'query-cpus-fast': value([{ 'cpu-index': 0 }, { 'cpu-index': 1 }]),
  'query-memory-size-summary': value({ 'base-memory': 64 * 1024 * 1024, 'plugged-memory': 0 }),
  'query-kvm': value({ enabled: false, present: true }),
  'query-memdev': value([]),
  'query-migrate': value({}),
  'qom-list': value([{ name: 'type', type: 'string' }]),
};

/**
 * Serves until the test is over.
 *
 * @param answers by command; without one for it a command is refused
 * @param greet what is said to whoever connects
 * @param between comes between each command and its answer
 */
export async function serveQmp(
  answers: Readonly<Record<string, Answer>>,
  greet = greeting,
  between: Between = (_what, perform) => perform(),
): Promise<FakeQmp> {
  const folder = mkdtempSync(join(tmpdir(), 'qmp-'));
  const path = join(folder, 'qmp.sock');
  const commands: string[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  let answering = true;
  const all = { qmp_capabilities: value({}), ...answers };
  const server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    if (!answering) socket.destroy();
    between('greeting', () => void socket.write(greet), null);
    let held = '';
    socket.on('data', (piece) => {
      held += piece.toString();
      const lines = held.split('\n');
      held = lines.pop() ?? '';
      for (const line of lines) {
        const {
          execute,
          id,
          arguments: given,
        } = JSON.parse(line) as {
          execute: string;
          id: number;
          arguments: unknown;
        };
        const perform = (): void => {
          commands.push(execute);
          const answer = (all as Record<string, Answer>)[execute];
          if (answer) answer(socket, id, given);
          else
            socket.write(`${JSON.stringify({ id, error: { class: 'CommandNotFound', desc: 'no such' } })}\n`);
        };
        between(execute, perform, () => refusal('not today')(socket, id));
      }
    });
  });
  await new Promise<void>((resolve) => void server.listen(path, resolve));
  const close = (): void => {
    for (const socket of sockets) socket.destroy();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  };
  onTestFinished(close);
  const { fd } = v.parse(v.object({ fd: v.number() }), Reflect.get(server, '_handle'));
  return {
    ...{ path, fd, connections: () => connections, commands },
    hangUp: () => {
      answering = false;
      for (const socket of sockets) socket.destroy();
    },
    close,
    answerAgain: () => {
      answering = true;
    },
    tell: (event, data = {}) => {
      for (const socket of sockets)
        if (!socket.destroyed) socket.write(`${JSON.stringify({ event, data })}\r\n`);
    },
  };
}
