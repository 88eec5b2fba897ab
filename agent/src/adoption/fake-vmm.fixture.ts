// SPDX-License-Identifier: Apache-2.0
/**
 * A QEMU of this very process: a guest that runs or is paused, and a monitor that hands its state over and takes it
 * in as QEMU does, on real sockets. What it should do otherwise is given command by command.
 */
import { connect, createServer } from 'node:net';
import { type Answer, type FakeQmp, refusal, serveQmp, value } from '../qemu/fake-qmp.fixture.ts';

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
  /** Something stops the guest, or has stopped it before. @param status QEMU's word for that */
  becomes(status: string): void;
  /** Refuses once, from when its guest runs, to have capabilities set. */
  keepSettingsOnce(): void;
  /** Settings of its migration as they are now. */
  readonly settings: FakeSettings;
}

interface FakeSettings {
  readonly capabilities: Readonly<Record<string, boolean>>;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** As a QEMU has them that nobody has set any of. */
export const usualSettings: FakeSettings = {
  capabilities: { ...{ xbzrle: false, events: false, multifd: false }, 'x-ignore-shared': false },
  parameters: { mode: 'normal', 'max-bandwidth': 134_217_728, 'tls-creds': '', 'multifd-channels': 2 },
};

interface FakeVmmOptions {
  readonly running: boolean;
  /** Settings that somebody has made. */
  readonly settings?: Partial<FakeSettings>;
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
  { running, settings = {}, answers = {}, channel = () => {} }: FakeVmmOptions = { running: true },
): Promise<FakeVmm> {
  const guest = { status: running ? 'running' : 'paused', loaded: null as string | null };
  let migration = 'none';
  let keepsSettings = false;
  const usual = () => ({
    capabilities: { ...usualSettings.capabilities },
    parameters: { ...usualSettings.parameters },
  });
  const now = usual();
  Object.assign(now.capabilities, settings.capabilities);
  Object.assign(now.parameters, settings.parameters);
  const completed = (): void => {
    migration = 'completed';
    qmp.tell('MIGRATION', { status: migration });
  };
  const isMigrating = (): boolean => migration === 'active';
  const becomes = (status: string): void => {
    if (guest.status === 'running' && status !== 'running') qmp.tell('STOP');
    guest.status = status;
    if (status === 'running') qmp.tell('RESUME');
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
      connection.on('error', () => listener.close());
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
    completed();
  };
  const sendState = (path: string): void => {
    const before = guest.status;
    becomes('finish-migrate');
    connect(path)
      // As QEMU, which goes back to what it did before.
      .on('error', () => {
        // One that was cancelled meanwhile has no end.
        if (!isMigrating()) return;
        migration = 'failed';
        becomes(before);
      })
      .end('device state', () => {
        if (!isMigrating()) return;
        guest.status = 'postmigrate';
        completed();
      });
  };
  const qemu: Record<string, Answer> = {
    'query-migrate-capabilities': (socket, id) =>
      value(Object.entries(now.capabilities).map(([capability, state]) => ({ capability, state })))(
        socket,
        id,
      ),
    'query-migrate-parameters': (socket, id) => value(now.parameters)(socket, id),
    'migrate-set-capabilities': (socket, id, given) => {
      if (keepsSettings && guest.status === 'running') {
        keepsSettings = false;
        return refusal('not today')(socket, id);
      }
      if (isMigrating()) return refusal("There's a migration process in progress")(socket, id);
      const { capabilities } = given as { capabilities: { capability: string; state: boolean }[] };
      for (const { capability, state } of capabilities) now.capabilities[capability] = state;
      done(socket, id);
    },
    'migrate-set-parameters': (socket, id, given) => {
      Object.assign(now.parameters, given);
      done(socket, id);
    },
    'query-status': (socket, id) =>
      value({ status: guest.status, running: guest.status === 'running' })(socket, id),
    'query-migrate': (socket, id) => value({ status: migration })(socket, id),
    stop: (socket, id) => {
      if (guest.status === 'running') becomes('paused');
      done(socket, id);
    },
    cont: (socket, id) => {
      becomes('running');
      done(socket, id);
    },
    migrate_cancel: (socket, id) => {
      if (isMigrating()) migration = 'cancelled';
      done(socket, id);
    },
    migrate: (socket, id, given) => {
      if (guest.status === 'postmigrate')
        return refusal("Can't migrate the vm that was paused due to previous migration")(socket, id);
      migration = 'active';
      done(socket, id);
      const [main, cpr] = [pathOf(given, 'main') ?? '', pathOf(given, 'cpr')];
      if (cpr === undefined) sendState(main);
      // The other side closes this connection when the guest may be stopped.
      else
        connect({ path: cpr, allowHalfOpen: true })
          // An abort, or another machine's failure, closes it at any moment.
          .on('error', () => {})
          .on('close', () => {
            if (isMigrating()) sendState(main);
          })
          .end(cprStream);
    },
    'migrate-incoming': (socket, id, given) => {
      take(pathOf(given, 'main'), load, () => done(socket, id));
    },
  };
  const qmp: FakeQmp = await serveQmp({ ...qemu, ...answers });
  return {
    ...qmp,
    becomes,
    get running() {
      return guest.status === 'running';
    },
    get loaded() {
      return guest.loaded;
    },
    get settings() {
      return structuredClone(now);
    },
    keepSettingsOnce() {
      keepsSettings = true;
    },
    pause() {
      becomes('paused');
    },
    goOn() {
      becomes('running');
    },
    restart(words, runs = false) {
      Object.assign(guest, { status: runs ? 'running' : 'paused', loaded: null });
      migration = 'none';
      Object.assign(now, usual());
      qmp.answerAgain();
      const waits = words.flatMap((word, index) => (words[index - 1] === '-incoming' ? [word] : []));
      const channels = waits.filter((word) => word.startsWith('{')).map((word) => JSON.parse(word));
      const [main, cpr] = [pathOf({ channels }, 'main'), pathOf({ channels }, 'cpr')];
      if (cpr !== undefined) take(cpr, () => {});
      if (main !== undefined) take(main, load);
    },
  };
}
