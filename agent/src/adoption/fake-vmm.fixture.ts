// SPDX-License-Identifier: Apache-2.0
/**
 * A QEMU of this very process: a guest that runs or is paused, and a monitor that hands its state over and takes it
 * in as QEMU does, on real sockets. What it should do otherwise is given command by command.
 */
import { connect, createServer, type Socket } from 'node:net';
import { type Answer, type FakeQmp, serveQmp, value } from '../qemu/fake-qmp.fixture.ts';

export interface FakeVmm extends FakeQmp {
  /** Whether the guest runs now. */
  readonly running: boolean;
  /** The state that was given to it, once all of it is there. */
  readonly loaded: string | null;
}

interface Channels {
  readonly channels: readonly { readonly 'channel-type': string; readonly addr: { readonly path: string } }[];
}

/** The first piece of a CPR stream without any descriptor: its magic number and a version. */
const cprStream = Buffer.from('QCPR\0\0\0\x01', 'latin1');

/** Serves until the test is over. `answers` take precedence over what QEMU would do. */
export async function startFakeVmm(
  { running, answers = {} }: { running: boolean; answers?: Readonly<Record<string, Answer>> } = {
    running: true,
  },
): Promise<FakeVmm> {
  const guest = { running, loaded: null as string | null };
  let migration = 'none';
  const say = (socket: Socket, event: string): void =>
    void socket.write(`${JSON.stringify({ event, data: {} })}\n`);
  const completed = (socket: Socket): void => {
    migration = 'completed';
    say(socket, 'MIGRATION');
  };
  const done = value({});
  const pathOf = (given: unknown, type: string): string | undefined =>
    (given as Channels).channels.find((each) => each['channel-type'] === type)?.addr.path;
  const sendState = (monitor: Socket, path: string): void => {
    guest.running = false;
    connect(path)
      .on('error', () => {})
      .end('device state', () => completed(monitor));
  };
  const qemu: Record<string, Answer> = {
    'migrate-set-capabilities': done,
    'migrate-set-parameters': done,
    'query-status': (socket, id) =>
      value({ status: guest.running ? 'running' : 'paused', running: guest.running })(socket, id),
    'query-migrate': (socket, id) => value({ status: migration })(socket, id),
    stop: (socket, id) => {
      guest.running = false;
      done(socket, id);
    },
    cont: (socket, id) => {
      guest.running = true;
      done(socket, id);
    },
    migrate_cancel: done,
    migrate: (socket, id, given) => {
      done(socket, id);
      const [main, cpr] = [pathOf(given, 'main') ?? '', pathOf(given, 'cpr')];
      if (cpr === undefined) sendState(socket, main);
      // The other side closes this connection when the guest may be stopped.
      else
        connect({ path: cpr, allowHalfOpen: true })
          .on('close', () => sendState(socket, main))
          .end(cprStream);
    },
    'migrate-incoming': (socket, id, given) => {
      const listener = createServer((connection) => {
        const pieces: Buffer[] = [];
        connection.on('data', (piece) => pieces.push(piece));
        connection.on('end', () => {
          guest.loaded = Buffer.concat(pieces).toString();
          listener.close();
          completed(socket);
        });
      });
      listener.listen(pathOf(given, 'main'), () => done(socket, id));
    },
  };
  const qmp = await serveQmp({ ...qemu, ...answers });
  return {
    ...qmp,
    get running() {
      return guest.running;
    },
    get loaded() {
      return guest.loaded;
    },
  };
}
