// SPDX-License-Identifier: Apache-2.0
/** The states of a connection to a host, also while a kexec is due. */
import type { Status } from '@luo-console/agent/interface';
import { beforeEach, describe, expect, test } from 'vitest';
import { createBackoff } from '../src/connections/backoff.ts';
import { HostConnection } from '../src/connections/host-connection.ts';
import type { AgentLink, Connector, OpenedLink, OpenOptions } from '../src/connections/link.ts';
import { nextState, transitions } from '../src/connections/transitions.ts';
import type { ConnectionState } from '../src/interface/bridge.generated.ts';
import { FakeClock, settle } from './fake-clock.ts';
import { sampleStatus } from './samples.ts';

/** A link in the hands of a test. */
class FakeLink implements AgentLink {
  readonly #gone = Promise.withResolvers<string>();
  readonly closed = this.#gone.promise;
  readonly #statuses: Status[] = [];
  #news = Promise.withResolvers<void>();
  /** Whether `GetStatus` is answered. */
  answers = true;
  asked = 0;
  isClosed = false;

  async call() {
    this.asked += 1;
    if (!this.answers) await new Promise(() => undefined);
    return { status: sampleStatus() };
  }

  async *stream() {
    for (;;) {
      const news = this.#news.promise;
      const status = this.#statuses.shift();
      if (status) yield { status };
      else await Promise.race([news, this.closed]);
      if (this.isClosed) return;
    }
  }

  report(status: Status): void {
    this.#statuses.push(status);
    this.#news.resolve();
    this.#news = Promise.withResolvers<void>();
  }

  lose(reason: string): void {
    this.#gone.resolve(reason);
  }

  async close() {
    this.isClosed = true;
    this.lose('closed');
  }
}

/** Attempts wait for the test to say how they end. */
class FakeConnector implements Connector {
  readonly attempts: (OpenOptions & {
    succeed: (link: FakeLink, status?: Status) => void;
    fail: (why: string) => void;
  })[] = [];

  open(options: OpenOptions): Promise<OpenedLink> {
    const { promise, resolve, reject } = Promise.withResolvers<OpenedLink>();
    options.signal.addEventListener('abort', () => reject(options.signal.reason));
    this.attempts.push({
      ...options,
      succeed: (link, status = sampleStatus()) => resolve({ link, status }),
      fail: (why) => reject(new Error(why)),
    });
    return promise;
  }

  get last() {
    const attempt = this.attempts.at(-1);
    if (!attempt) throw new Error('no attempt was made');
    return attempt;
  }
}

let clock: FakeClock;
let connector: FakeConnector;
let connection: HostConnection;
let states: ConnectionState[];
let statuses: Status[];

beforeEach(() => {
  clock = new FakeClock();
  connector = new FakeConnector();
  states = [];
  statuses = [];
  connection = new HostConnection({
    connector,
    clock,
    lastStatus: null,
    onChange: () => {
      if (states.at(-1) !== connection.view.state) states.push(connection.view.state);
    },
    onStatus: (status) => statuses.push(status),
    onLink: async () => undefined,
  });
});

async function connected(status?: Status): Promise<FakeLink> {
  connection.connect();
  await settle();
  const link = new FakeLink();
  connector.last.succeed(link, status);
  await settle();
  return link;
}

describe('the table of states', () => {
  test('leads everywhere and nowhere else', () => {
    const all = Object.keys(transitions) as ConnectionState[];
    const reached = new Set(all.flatMap((state) => Object.values(transitions[state])));
    expect([...reached].sort()).toEqual([...all].sort());
    expect(nextState('disconnected', 'lost')).toBeNull();
    expect(nextState('away', 'refused')).toBeNull();
  });
});

test('waiting grows up to two seconds', () => {
  const backoff = createBackoff();
  expect([1, 2, 3, 4, 5, 6].map(() => backoff.next())).toEqual([250, 500, 1000, 2000, 2000, 2000]);
  backoff.reset();
  expect(backoff.next()).toBe(250);
});

describe('a connection', () => {
  test('connects, and shows the status as it changes', async () => {
    await clock.pass(5);
    const link = await connected();
    expect(connection.view).toMatchObject({
      state: 'connected',
      detail: '',
      sinceUs: 5000,
      status: sampleStatus(),
    });
    expect(connection.link).toBe(link);
    await clock.pass(3);
    link.report(sampleStatus({ phase: 'preserving' }));
    await settle();
    expect(connection.view.status?.phase).toBe('preserving');
    expect(connection.view.statusAtUs).toBe(8000);
    expect(connection.view.sinceUs).toBe(5000);
    expect(statuses.map(({ phase }) => phase)).toEqual(['normal', 'preserving']);
  });

  test('fails at once if the first attempt does, and can be tried again', async () => {
    connection.connect();
    await settle();
    connector.last.fail('no such socket');
    await clock.pass(60_000);
    expect(connection.view).toMatchObject({ state: 'failed', detail: 'no such socket', prompt: null });
    expect(connector.attempts).toHaveLength(1);
    await connected();
    expect(states).toEqual(['connecting', 'failed', 'connecting', 'connected']);
    expect(connection.view.detail).toBe('');
  });

  test('shows the terminal in which ssh waits', async () => {
    connection.connect();
    await settle();
    connector.last.onPrompt('terminal-1');
    expect(connection.view).toMatchObject({ state: 'connecting', prompt: 'terminal-1' });
    connector.last.succeed(new FakeLink());
    await settle();
    expect(connection.view).toMatchObject({ state: 'connected', prompt: null });
  });

  test('is away when it is lost, and tries for ever with bounded waits', async () => {
    const link = await connected();
    link.lose('broken pipe');
    await settle();
    expect(connection.view.state).toBe('away');
    expect(connection.view.detail).toContain('broken pipe');
    expect(connection.view.status).toEqual(sampleStatus());
    expect(connection.link).toBeNull();
    expect(link.isClosed).toBe(true);
    clock.sleeps.length = 0;
    for (let attempt = 0; attempt < 40; attempt += 1) {
      connector.last.fail(`attempt ${attempt}`);
      await clock.pass(2000);
    }
    expect(connection.view.state).toBe('away');
    expect(connection.view.detail).toContain('attempt 39');
    expect(connector.attempts).toHaveLength(42);
    expect(Math.max(...clock.sleeps)).toBe(2000);
    expect(connector.last.patient).toBe(true);
    connector.last.succeed(new FakeLink(), sampleStatus({ bootId: 'boot-2' }));
    await settle();
    expect(connection.view).toMatchObject({ state: 'connected', detail: '' });
    expect(connection.view.status?.bootId).toBe('boot-2');
    expect(states).toEqual(['connecting', 'connected', 'away', 'connected']);
  });

  test('says that the kernel is being replaced when that is why', async () => {
    const link = await connected(sampleStatus({ phase: 'kexec' }));
    link.lose('gone');
    await settle();
    expect(connection.view.detail).toMatch(/^Replacing its kernel/);
    expect(connection.view.status?.phase).toBe('kexec');
  });

  test('is taken for lost when the status no longer streams', async () => {
    const link = await connected();
    link.isClosed = true;
    link.report(sampleStatus());
    await settle();
    expect(connection.view.state).toBe('away');
  });

  test('can be ended in every state', async () => {
    connection.connect();
    await settle();
    await connection.disconnect();
    expect(connection.view.state).toBe('disconnected');
    const link = await connected();
    await connection.disconnect();
    expect(connection.view.state).toBe('disconnected');
    expect(link.isClosed).toBe(true);
    const again = await connected();
    again.lose('gone');
    await settle();
    expect(connection.view.state).toBe('away');
    const attempts = connector.attempts.length;
    await connection.disconnect();
    await clock.pass(60_000);
    expect(connection.view).toMatchObject({ state: 'disconnected', detail: '', prompt: null });
    expect(connector.attempts).toHaveLength(attempts);
  });

  test('lets go of a link that came too late', async () => {
    connection.connect();
    await settle();
    const { succeed } = connector.last;
    const link = new FakeLink();
    succeed(link);
    await connection.disconnect();
    expect(connection.view.state).toBe('disconnected');
    expect(link.isClosed).toBe(true);
  });

  test('is not opened twice', async () => {
    connection.connect();
    connection.connect();
    await settle();
    expect(connector.attempts).toHaveLength(1);
  });
});

describe('while the kexec is due', () => {
  const dueStatus = sampleStatus({ phase: 'kexec' });

  test('a host that no longer answers is away within two seconds', async () => {
    const link = await connected(dueStatus);
    await clock.pass(1000);
    expect(connection.view.state).toBe('connected');
    expect(link.asked).toBeGreaterThan(0);
    link.answers = false;
    await clock.pass(2000);
    expect(connection.view.state).toBe('away');
    expect(connection.view.detail).toContain('no longer answers');
  });

  test('nothing is asked before that, nor while it can still be called off', async () => {
    const progress = {
      update: 'u',
      phase: 'kexec' as const,
      phaseStartedAtUs: 0,
      startedAtUs: 0,
      step: null,
      message: '',
      done: null,
      total: null,
      graceEndsAtUs: 10,
      mayAbort: true,
      machines: [],
    };
    const link = await connected();
    await clock.pass(5000);
    link.report({ ...dueStatus, progress });
    await clock.pass(5000);
    expect(link.asked).toBe(0);
    link.report({ ...dueStatus, progress: { ...progress, graceEndsAtUs: null } });
    await clock.pass(1000);
    expect(link.asked).toBeGreaterThan(0);
  });
});
