// SPDX-License-Identifier: Apache-2.0
/** Letting a guest run: QEMU's status is believed, and nothing else. */
import { native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Answer, own, serveQmp, value } from './fake-qmp.fixture.ts';
import { VmmMonitor } from './migration-monitor.ts';

/** What was asked, in order. */
let asked: string[];
let status: string;
let monitor: VmmMonitor | null = null;

beforeEach(() => {
  asked = [];
  status = 'paused';
});
afterEach(() => {
  monitor?.close();
  monitor = null;
});

const done = value({});
const refuse: Answer = (socket, id) =>
  void socket.write(`${JSON.stringify({ id, error: { class: 'GenericError', desc: 'not today' } })}\n`);
const silent: Answer = () => {};

/** Lets the guest of a QEMU run that answers so, one answer a time and the last one again and again. */
async function run(conts: readonly Answer[], statuses: readonly Answer[] = []): Promise<void> {
  const tell: Answer = (socket, id) => value({ status, running: status === 'running' })(socket, id);
  const oneByOne = (name: string, answers: readonly Answer[]): Answer => {
    const left = [...answers];
    return (socket, id, given) => {
      asked.push(name);
      const answer = left.length > 1 ? left.shift() : left[0];
      answer?.(socket, id, given);
    };
  };
  const { path } = await serveQmp({
    cont: oneByOne('cont', conts),
    'query-status': oneByOne('query-status', [...statuses, tell]),
  });
  monitor = await VmmMonitor.open(own(path), { answerMs: 200 });
  await monitor.run(AbortSignal.timeout(5000));
}

const runs: Answer = (socket, id) => {
  status = 'running';
  done(socket, id);
};

describe('a guest that is let run', () => {
  it('runs once QEMU says so', async () => {
    await run([runs]);
    expect(asked).toEqual(['cont', 'query-status']);
  });

  it('is waited for if QEMU answers late', async () => {
    const late: Answer = () => {
      status = 'running';
    };
    await run([late], [silent, silent]);
    expect(asked).toEqual(['cont', 'query-status', 'query-status', 'query-status']);
  });

  it('is told again if QEMU did not hear it', async () => {
    await run([silent, runs]);
    expect(asked).toEqual(['cont', 'query-status', 'cont', 'query-status']);
  });

  it.each(['io-error', 'shutdown', 'guest-panicked'])('has run if QEMU says %s', async (state) => {
    await run([
      (socket, id) => {
        status = state;
        done(socket, id);
      },
    ]);
    expect(asked).toEqual(['cont', 'query-status']);
  });

  it('does not run if QEMU refuses, whose words are told', async () => {
    await expect(run([refuse])).rejects.toMatchObject({ failure: 'refused', message: 'not today' });
  });

  it('does not run if QEMU agrees and says that it is paused', async () => {
    await expect(run([done])).rejects.toMatchObject({
      failure: 'refused',
      message: 'it is still paused after it was told to run',
    });
    expect(asked.filter((name) => name === 'cont')).toHaveLength(3);
  });

  it('may run if QEMU says nothing at all: the wait ends with its signal', async () => {
    const { path } = await serveQmp({ cont: silent, 'query-status': silent });
    monitor = await VmmMonitor.open(own(path), { answerMs: 200 });
    await expect(monitor.run(AbortSignal.timeout(1000))).rejects.toThrow(/timeout|aborted/i);
  });
});

describe('a state that is sent', () => {
  /** Waits for the end of a migration on a monitor that says so once it is asked for its status. */
  async function migrate(events: readonly string[], answers: Record<string, Answer> = {}): Promise<string[]> {
    const { path, commands } = await serveQmp({
      'query-status': (socket, id) => {
        value({ status: 'running', running: true })(socket, id);
        for (const status of events)
          socket.write(`${JSON.stringify({ event: 'MIGRATION', data: { status } })}\n`);
      },
      ...answers,
    });
    monitor = await VmmMonitor.open(own(path), { answerMs: 2000 });
    const migrated = monitor.migrated(AbortSignal.timeout(10_000));
    migrated.catch(() => {});
    await monitor.statusNow();
    await migrated;
    return commands;
  }

  it('is there once QEMU says so by itself, and it is not asked', async () => {
    expect(await migrate(['setup', 'active', 'device', 'completed'])).not.toContain('query-migrate');
  });

  it('is not there if that failed, and QEMU is asked why', async () => {
    const why = value({ status: 'failed', 'error-desc': 'no such device' });
    await expect(migrate(['setup', 'failed'], { 'query-migrate': why })).rejects.toMatchObject({
      ...{ failure: 'refused', message: 'QEMU could not pass its state on: no such device' },
    });
  });

  it('is there if QEMU says so when it is asked, after it has said nothing for a while', async () => {
    expect(await migrate([], { 'query-migrate': value({ status: 'completed' }) })).toContain('query-migrate');
  });

  it('is not that of a migration which its owner began and cancelled before', async () => {
    const qmp = await serveQmp({ migrate: value({}), 'query-status': value({ status: 'running' }) });
    monitor = await VmmMonitor.open(own(qmp.path));
    qmp.tell('MIGRATION', { status: 'cancelled' });
    // Its answer is behind the event.
    await monitor.statusNow();
    await monitor.migrate([], AbortSignal.timeout(5000));
    const migrated = monitor.migrated(AbortSignal.timeout(5000));
    qmp.tell('MIGRATION', { status: 'completed' });
    await expect(migrated).resolves.toBeUndefined();
  });

  it('is not waited for if QEMU does not answer any more', async () => {
    await expect(migrate(['active'], { 'query-migrate': silent })).rejects.toMatchObject({
      failure: 'silent',
    });
  });
});

describe('the monitor of a QEMU that is starting', () => {
  it('is waited for while another process listens in its place', async () => {
    const stranger = await serveQmp({});
    const { path } = stranger;
    const pids = [1, 1, process.pid];
    const sockets = {
      ...native.sockets,
      peerCredentials: () => ({ pid: pids.shift() ?? 0, uid: 0, gid: 0, groups: [] }),
    };
    monitor = await VmmMonitor.reach({ ...own(path), sockets }, AbortSignal.timeout(5000));
    expect(pids).toEqual([]);
    expect(stranger.connections()).toBe(3);
    expect(stranger.commands).toEqual(['qmp_capabilities']);
  });

  it('is not reached if another process listens there to the end, and it is said which', async () => {
    const { path, commands } = await serveQmp({});
    await expect(VmmMonitor.reach({ ...own(path), pid: 1 }, AbortSignal.timeout(50))).rejects.toMatchObject({
      message: `process ${process.pid} listens at ${path} in place of process 1`,
    });
    expect(commands).toEqual([]);
  });
});
