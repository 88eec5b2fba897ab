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
  /** Begins again as one that was started with these words: paused, and waiting for a state, unless the guest runs. */
  restart(words: readonly string[], runs?: boolean): void;
  /** As somebody does who has another connection to its monitor. */
  pause(): void;
  /** The same. */
  goOn(): void;
}

interface FakeVmmOptions {
  readonly running: boolean;
  readonly answers?: Readonly<Record<string, Answer>>;
  /** Told of each path at which it connects to the agent or waits for it. */
  readonly channel?: (path: string) => void;
}

interface Channels {
  readonly channels: readonly { readonly 'channel-type': string; readonly addr: { readonly path: string } }[];
}

/** The first piece of a CPR stream without any descriptor: its magic number and a version. */
const cprStream = Buffer.from('QCPR\0\0\0\x01', 'latin1');

/** Serves until the test is over. `answers` take precedence over what QEMU would do. */
export async function startFakeVmm(
  { running, answers = {}, channel = () => {} }: FakeVmmOptions = { running: true },
): Promise<FakeVmm> {
  const guest = { running, loaded: null as string | null };
  let migration = 'none';
  /** The connection that set the capabilities: it is told when a migration ends. */
  let monitor: Socket | null = null;
  const completed = (socket: Socket): void => {
    migration = 'completed';
    socket.write(`${JSON.stringify({ event: 'MIGRATION', data: { status: migration } })}\n`);
  };
  const done = value({});
  const pathOf = (given: unknown, type: string): string | undefined => {
    const path = (given as Channels).channels.find((each) => each['channel-type'] === type)?.addr.path;
    if (path !== undefined) channel(path);
    return path;
  };
  /** Waits at a path for a stream, and ends with it. */
  const take = (path: string | undefined, taken: (stream: Buffer) => void, waiting = () => {}): void => {
    const listener = createServer((connection) => {
      const pieces: Buffer[] = [];
      connection.on('data', (piece) => pieces.push(piece));
      connection.on('end', () => {
        listener.close();
        taken(Buffer.concat(pieces));
      });
    });
    listener.listen(path, waiting);
  };
  const load = (stream: Buffer): void => {
    guest.loaded = stream.toString();
    if (monitor) completed(monitor);
  };
  const sendState = (monitor: Socket, path: string): void => {
    guest.running = false;
    connect(path)
      .on('error', () => {})
      .end('device state', () => completed(monitor));
  };
  const qemu: Record<string, Answer> = {
    'migrate-set-capabilities': (socket, id) => {
      monitor = socket;
      done(socket, id);
    },
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
      take(pathOf(given, 'main'), load, () => done(socket, id));
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
    pause() {
      guest.running = false;
    },
    goOn() {
      guest.running = true;
    },
    restart(words, runs = false) {
      Object.assign(guest, { running: runs, loaded: null });
      migration = 'none';
      qmp.answerAgain();
      const waits = words.flatMap((word, index) => (words[index - 1] === '-incoming' ? [word] : []));
      const channels = waits.filter((word) => word.startsWith('{')).map((word) => JSON.parse(word));
      const [main, cpr] = [pathOf({ channels }, 'main'), pathOf({ channels }, 'cpr')];
      if (cpr !== undefined) take(cpr, () => {});
      if (main !== undefined) take(main, load);
    },
  };
}
