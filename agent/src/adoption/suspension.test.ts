// SPDX-License-Identifier: Apache-2.0
/** Machines that are stopped and saved in the kernel they run in, and those that cannot be. */
import { spawnSync } from 'node:child_process';
import { connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { type Descriptor, native, type Sockets } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { NotPreservedInTime } from '../liveupdate/preserve-in-time.ts';
import { type Answer, refusal, serveQmp, value } from '../qemu/fake-qmp.fixture.ts';
import { type FakeVmm, startFakeVmm } from './fake-vmm.fixture.ts';
import type { SavedMachine } from './saved-machine.ts';
import { adopted, facts, SuspensionScene, stagesOf } from './suspension.fixture.ts';

let scene: SuspensionScene;
beforeEach(() => {
  scene = new SuspensionScene();
});
afterEach(() => scene[Symbol.dispose]());

const suspensionOf: SuspensionScene['suspension'] = (...given) => scene.suspension(...given);

const refuse = refusal('not today');

/** A VMM that connects to where its state is taken, and says nothing there. */
const sendsNothing: Answer = (socket, id, given) => {
  value({})(socket, id);
  const channel = connect(/[^"]+\/main/.exec(JSON.stringify(given))?.[0] ?? '');
  channel.on('error', () => {});
  onTestFinished(() => void channel.destroy());
};

describe('a machine', () => {
  it.each(['whole_state', 'named_memory', 'cpr'] as const)(
    'is marked, stopped and saved, and runs on when the kexec does not happen: %s',
    async (way) => {
      const vmm = await startFakeVmm();
      const suspension = suspensionOf([adopted('one', vmm.path, way)]);
      await suspension.prepare();
      expect({ running: vmm.running, marks: scene.marks }).toEqual({ running: true, marks: [] });
      const saved = await suspension.save();
      expect({ running: vmm.running, marks: scene.marks }).toEqual({
        running: false,
        marks: ['machine:one'],
      });
      expect(saved).toMatchObject([{ name: 'one', ran: true, state: { mainBytes: 12 } }]);
      expect(stagesOf(suspension)).toEqual({ one: 'saved' });
      expect(await suspension.letRunOn()).toEqual([]);
      expect({ running: vmm.running, marks: scene.marks }).toEqual({
        running: true,
        marks: ['machine:one', '!machine:one'],
      });
      suspension.close();
    },
  );

  it.each(['whole_state', 'cpr'] as const)('is saved whoever else connects in its place: %s', async (way) => {
    const connect = 'require("net").connect(process.argv[1], () => process.exit())';
    // Before the VMM does, and the agent has had no turn yet.
    const channel = (path: string) => void spawnSync(process.execPath, ['-e', connect, path]);
    const vmm = await startFakeVmm({ running: true, channel });
    const suspension = suspensionOf([adopted('one', vmm.path, way)]);
    await suspension.prepare();
    expect(await suspension.save()).toMatchObject([{ name: 'one', state: { mainBytes: 12 } }]);
    expect(await suspension.letRunOn()).toEqual([]);
    suspension.close();
  });

  it('is known before it is stopped, but for how long its state is', async () => {
    const vmm = await startFakeVmm();
    let ahead: readonly SavedMachine[] = [];
    const suspension = suspensionOf([adopted('one', vmm.path, 'cpr')], 'stop', {
      writeAhead: async (coming) => {
        expect(vmm.running).toBe(true);
        ahead = coming;
      },
    });
    await suspension.prepare();
    const saved = await suspension.save();
    const times = { brownoutUs: null, suspendedAtUs: null, savedAtUs: null };
    const known = ({ state, ...machine }: SavedMachine) => ({
      ...{ ...machine, ...times },
      state: { ...state, mainBytes: 0 },
    });
    expect(saved.map(known)).toEqual(ahead.map(known));
    expect(saved).toMatchObject([{ state: { mainBytes: 12 } }]);
    expect(await suspension.letRunOn()).toEqual([]);
    suspension.close();
  });

  it('was saved when the last of its state was recorded, not when the event loop had its turn', async () => {
    const vmm = await startFakeVmm();
    const lateUs = 3_600_000_000;
    const recordFrom: Sockets['recordFrom'] = async (...given) => {
      const recorded = await native.sockets.recordFrom(...given);
      return { ...recorded, endedAgoUs: lateUs };
    };
    let nowUs = 0;
    const suspension = suspensionOf([adopted('one', vmm.path, 'cpr')], 'stop', {
      native: { ...native, sockets: { ...native.sockets, recordFrom } },
      nowUs: () => ++nowUs,
    });
    await suspension.prepare();
    const [saved] = await suspension.save();
    expect(saved?.savedAtUs).toBeLessThanOrEqual(nowUs - lateUs);
    expect(await suspension.letRunOn()).toEqual([]);
    suspension.close();
  });

  it('is not stopped if the update is aborted while that is written', async () => {
    const vmm = await startFakeVmm();
    const abort = new AbortController();
    const suspension = suspensionOf([adopted('one', vmm.path, 'cpr')], 'stop', {
      signal: abort.signal,
      writeAhead: async () => abort.abort(new Error('somebody aborts it')),
    });
    await suspension.prepare();
    await expect(suspension.save()).rejects.toThrow('somebody aborts it');
    expect(scene.marks).toEqual([]);
    expect(await suspension.letRunOn()).toEqual([]);
    expect(vmm.running).toBe(true);
    suspension.close();
  });

  it('is stopped although the agent’s connection to its VMM is not closed yet', async () => {
    const vmm = await startFakeVmm();
    const copies: Descriptor[] = [];
    const accept: Sockets['accept'] = (listening) => {
      const connection = native.sockets.accept(listening);
      if (connection) copies.push(native.descriptors.duplicate(connection));
      return connection;
    };
    const sockets = { ...native.sockets, accept };
    const suspension = suspensionOf([adopted('one', vmm.path, 'cpr')], 'stop', {
      native: { ...native, sockets },
    });
    await suspension.prepare();
    expect(await suspension.save()).toMatchObject([{ name: 'one', state: { mainBytes: 12 } }]);
    expect(vmm.running).toBe(false);
    expect(await suspension.letRunOn()).toEqual([]);
    for (const copy of copies) copy.close();
    suspension.close();
  });

  it('is stopped only when its state, and that of each other, is waited for', async () => {
    const vmms = [await startFakeVmm(), await startFakeVmm()];
    const order: string[] = [];
    const recordFrom: Sockets['recordFrom'] = (...given) => {
      order.push('expected');
      return native.sockets.recordFrom(...given);
    };
    const shutdown: Sockets['shutdown'] = (socket) => {
      order.push('stopped');
      native.sockets.shutdown(socket);
    };
    const machines = vmms.map(({ path }, index) => adopted(`vm${index}`, path, 'cpr'));
    const suspension = suspensionOf(machines, 'stop', {
      native: { ...native, sockets: { ...native.sockets, recordFrom, shutdown } },
    });
    await suspension.prepare();
    order.length = 0;
    await suspension.save();
    expect(order).toEqual(['expected', 'expected', 'stopped', 'stopped']);
    expect(await suspension.letRunOn()).toEqual([]);
    suspension.close();
  });

  it('whose migration fails while its VMM is not listened to is let run on', async () => {
    const migrate: Answer = (socket, id, given) => {
      value({})(socket, id);
      connect({ path: /[^"]+\/cpr/.exec(JSON.stringify(given))?.[0] ?? '', allowHalfOpen: true })
        .on('error', () => {})
        .on('close', () => {
          vmm.becomes('finish-migrate');
          vmm.tell('MIGRATION', { status: 'failed' });
        })
        .end(Buffer.from('QCPR\0\0\0\x01', 'latin1'));
    };
    const vmm: FakeVmm = await startFakeVmm({ running: true, answers: { migrate } });
    const suspension = suspensionOf([adopted('one', vmm.path, 'cpr')]);
    await suspension.prepare();
    await expect(suspension.save()).rejects.toThrow('one cannot be saved: QEMU could not pass its state on');
    expect(vmm.running).toBe(false);
    expect(await suspension.letRunOn()).toEqual([]);
    expect(vmm.running).toBe(true);
    suspension.close();
  });

  it('that was paused before stays paused', async () => {
    const vmm = await startFakeVmm({ running: false });
    const suspension = suspensionOf([adopted('one', vmm.path)]);
    await suspension.prepare();
    expect(await suspension.save()).toMatchObject([{ ran: false }]);
    expect(await suspension.letRunOn()).toEqual([]);
    expect(vmm.commands).not.toContain('cont');
    suspension.close();
  });

  it('is saved with what its VMM needs, and all the same where that is unknown', async () => {
    const vmms = [await startFakeVmm(), await startFakeVmm()];
    const suspension = suspensionOf(
      vmms.map(({ path }, index) => adopted(index === 0 ? 'one' : 'unknown', path)),
    );
    await suspension.prepare();
    expect(suspension.facts().map((each) => each.facts)).toEqual([facts, null]);
    expect((await suspension.save()).map((each) => each.facts)).toEqual([facts, null]);
    suspension.close();
  });

  it('whose monitor has another client cannot be made ready', async () => {
    const busy = await serveQmp({}, '');
    const suspension = suspensionOf([adopted('one', busy.path)]);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const preparing = expect(suspension.prepare()).rejects.toThrow('another client is connected');
    vi.runAllTimers();
    await preparing;
    suspension.close();
  });

  it('whose VMM does not let it run on is held, and its mark stays', async () => {
    const vmm = await startFakeVmm({ running: true, answers: { cont: refuse } });
    const suspension = suspensionOf([adopted('one', vmm.path)]);
    await suspension.prepare();
    await suspension.save();
    expect(await suspension.letRunOn()).toMatchObject([expect.stringContaining('not today')]);
    expect(stagesOf(suspension)).toEqual({ one: 'held' });
    expect(scene.marks).toEqual(['machine:one']);
    // It is not undone as long as it is stopped, and is once somebody else has let it run.
    expect(await suspension.letRunOn()).toMatchObject([expect.stringContaining('not today')]);
    scene.marks.push('!machine:one');
    expect(await suspension.letRunOn()).toEqual([]);
    suspension.close();
  });

  it('whose VMM does not answer is not waited for, and is told to run until it does', async () => {
    const told = Promise.withResolvers<() => void>();
    const answers: Record<string, Answer> = {
      cont: (socket, id) => {
        told.resolve(() => {
          vmm.goOn();
          value({})(socket, id);
        });
      },
    };
    const vmm = await startFakeVmm({ running: true, answers });
    const suspension = suspensionOf([adopted('one', vmm.path)]);
    await suspension.prepare();
    await suspension.save();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const late = 'its VMM did not answer within 800 ms, and is told to run until it does';
    const letting = suspension.letRunOn();
    const answer = await told.promise;
    vi.advanceTimersByTime(800);
    expect(await letting).toEqual([`one: ${late}`]);
    expect(suspension.runs()).toMatchObject([{ stage: 'held', detail: late }]);
    // Its connection is the one over which it is told.
    suspension.close();
    expect(await suspension.letRunOn()).toEqual([`one: ${late}`]);
    answer();
    await vi.waitFor(() => expect(scene.marks).toEqual(['machine:one', '!machine:one']));
    expect(vmm.running).toBe(true);
    expect(await suspension.letRunOn()).toEqual([]);
    suspension.noticeRunning();
    expect(stagesOf(suspension)).toEqual({ one: 'running' });
  });

  it('whose VMM sends nothing is not waited for once the update is aborted', async () => {
    const vmm = await startFakeVmm({ running: true, answers: { migrate: sendsNothing } });
    const abort = new AbortController();
    const suspension = suspensionOf([adopted('one', vmm.path)], 'leave', { signal: abort.signal });
    await suspension.prepare();
    const saving = expect(suspension.save()).rejects.toThrow('called off');
    await vi.waitFor(() => expect(vmm.commands).toContain('migrate'));
    abort.abort(new Error('called off'));
    await saving;
    expect(await suspension.letRunOn()).toEqual([]);
    expect(vmm.running).toBe(true);
    suspension.close();
  });

  it.each(['query-status', 'stop', 'migrate'])(
    'whose VMM does not answer to %s is not waited for once the update is aborted',
    async (command) => {
      let isSilent = false;
      const heard = Promise.withResolvers<void>();
      const silent: Answer = (socket, id) => {
        if (isSilent) heard.resolve();
        else value({ status: 'running', running: true })(socket, id);
      };
      const vmm = await startFakeVmm({ running: true, answers: { [command]: silent } });
      const abort = new AbortController();
      const suspension = suspensionOf([adopted('one', vmm.path)], 'leave', { signal: abort.signal });
      await suspension.prepare();
      isSilent = true;
      // No answer is too late by itself.
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      onTestFinished(() => void vi.useRealTimers());
      const saving = expect(suspension.save()).rejects.toThrow('called off');
      await heard.promise;
      abort.abort(new Error('called off'));
      await saving;
      isSilent = false;
      vi.useRealTimers();
      expect(await suspension.letRunOn()).toEqual([]);
      expect(vmm.running).toBe(true);
      suspension.close();
    },
  );

  it('whose VMM hands nothing over never stops: the migration is cancelled', async () => {
    const migrate: Answer = (socket, id, given) => {
      value({})(socket, id);
      connect(/[^"]+\/cpr/.exec(JSON.stringify(given))?.[0] ?? '').end('no such stream');
    };
    const vmm = await startFakeVmm({ running: true, answers: { migrate } });
    const suspension = suspensionOf([adopted('one', vmm.path, 'cpr')]);
    await suspension.prepare();
    await expect(suspension.save()).rejects.toThrow('one cannot be saved: a CPR stream begins with QCPR');
    expect(await suspension.letRunOn()).toEqual([]);
    expect(scene.noted.get('machine:one')).toMatchObject([
      { saving: false },
      { saving: true },
      { saving: false },
    ]);
    expect(vmm.commands).toContain('migrate_cancel');
    expect(vmm.running).toBe(true);
    suspension.close();
  });

  it('whose migration fails and cannot be cancelled either is let run on all the same', async () => {
    const migrate: Answer = (socket, id) => {
      value({})(socket, id);
      vmm.tell('MIGRATION', { status: 'failed' });
    };
    const vmm: FakeVmm = await startFakeVmm({ running: true, answers: { migrate, migrate_cancel: refuse } });
    const suspension = suspensionOf([adopted('one', vmm.path)]);
    await suspension.prepare();
    await expect(suspension.save()).rejects.toThrow('one cannot be saved: QEMU could not pass its state on');
    expect(vmm.running).toBe(false);
    expect(await suspension.letRunOn()).toEqual([]);
    expect(vmm.running).toBe(true);
    suspension.close();
  });

  it('whose VMM refuses the migration never stops, and nobody else’s migration is cancelled', async () => {
    const vmm = await startFakeVmm({ running: true, answers: { migrate: refuse } });
    const suspension = suspensionOf([adopted('one', vmm.path, 'cpr')]);
    await suspension.prepare();
    await expect(suspension.save()).rejects.toThrow('one cannot be saved: not today');
    // Whoever finds the note must not take somebody else's migration for the agent's.
    expect(scene.notes.get('machine:one')).toMatchObject({ ran: true, saving: false });
    expect(await suspension.letRunOn()).toEqual([]);
    expect(vmm.commands).not.toContain('migrate_cancel');
    expect(vmm.running).toBe(true);
    suspension.close();
  });
});

describe('a machine that cannot be saved', () => {
  it('ends the saving of all others under the policy stop', async () => {
    const slow = await startFakeVmm({ running: true, answers: { migrate: sendsNothing } });
    const bad = await failing();
    const suspension = suspensionOf([adopted('slow', slow.path), adopted('bad', bad.path)], 'stop');
    await suspension.prepare();
    await expect(suspension.save()).rejects.toThrow('bad cannot be saved: not today');
    expect(await suspension.letRunOn()).toEqual([]);
    expect([slow.running, bad.running]).toEqual([true, true]);
    suspension.close();
  });

  const failing = () => startFakeVmm({ running: true, answers: { migrate: refuse } });
  let refuseNow = (): void => {};
  /** Refuses when it is told to. */
  const late: Answer = (socket, id, given) => {
    refuseNow = () => refuse(socket, id, given);
  };

  it('ends the update under the policy stop, and all of them run on', async () => {
    const [good, bad] = [await startFakeVmm(), await failing()];
    const suspension = suspensionOf([adopted('good', good.path), adopted('bad', bad.path)], 'stop');
    await suspension.prepare();
    await expect(suspension.save()).rejects.toThrow('bad cannot be saved: not today');
    expect([good.running, bad.running]).toEqual([false, false]);
    expect(await suspension.letRunOn()).toEqual([]);
    expect([good.running, bad.running]).toEqual([true, true]);
    suspension.close();
  });

  it.each(['stop', 'leave'] as const)(
    'whose record has no room is not stopped, nor is any other: policy %s',
    async (policy) => {
      const [one, other] = [await startFakeVmm(), await startFakeVmm()];
      const machines = [adopted('one', one.path, 'cpr'), adopted('other', other.path)];
      let coming: readonly SavedMachine[] = [];
      const suspension = suspensionOf(machines, policy, {
        writeAhead: async (given) => {
          coming = given;
          throw new Error('there is no room');
        },
      });
      await suspension.prepare();
      await expect(suspension.save()).rejects.toThrow('no machine was stopped: there is no room');
      // All but the length of the state is known by then.
      expect(coming).toMatchObject([
        { name: 'one', facts, state: { cprBytes: 8, mainBytes: 0 }, pieces: [{ bytes: 8, files: [] }] },
        { name: 'other', pieces: [] },
      ]);
      expect([one, other].map(({ commands }) => commands.includes('stop'))).toEqual([false, false]);
      expect(scene.marks).toEqual([]);
      expect(await suspension.letRunOn()).toEqual([]);
      expect([one.running, other.running]).toEqual([true, true]);
      suspension.close();
    },
  );

  it('ends the wait for a preserve of another under the policy stop', async () => {
    const [good, bad] = [
      await startFakeVmm(),
      await startFakeVmm({ running: true, answers: { migrate: late } }),
    ];
    const preserving = Promise.withResolvers<AbortSignal>();
    const suspension = suspensionOf(
      [adopted('good', good.path, 'whole_state'), adopted('bad', bad.path)],
      'stop',
      {
        preserve: async (_file, signal) => {
          if (isSaving) preserving.resolve(signal);
          await new Promise((_resolve, reject) => {
            if (isSaving) signal.addEventListener('abort', () => reject(signal.reason));
            else reject(new Error('not yet'));
          }).catch((error: unknown) => {
            if (isSaving) throw error;
          });
          return { session: 'luo-console', token: '0x1' };
        },
      },
    );
    let isSaving = false;
    await suspension.prepare();
    isSaving = true;
    const saving = expect(suspension.save()).rejects.toThrow('bad cannot be saved: not today');
    await preserving.promise;
    refuseNow();
    await saving;
    expect(await suspension.letRunOn()).toEqual([]);
    expect([good.running, bad.running]).toEqual([true, true]);
    suspension.close();
  });

  it('is left behind under the policy leave, and runs until the kexec', async () => {
    const [good, bad] = [await startFakeVmm(), await failing()];
    const suspension = suspensionOf([adopted('good', good.path), adopted('bad', bad.path)], 'leave');
    await suspension.prepare();
    expect(await suspension.save()).toMatchObject([{ name: 'good' }]);
    expect(stagesOf(suspension)).toEqual({ good: 'saved', bad: 'left_behind' });
    await vi.waitFor(() => expect([good.running, bad.running]).toEqual([false, true]));
    suspension.close();
  });

  it('is left behind although its VMM does not let it run on, and holds nobody up', async () => {
    const good = await startFakeVmm();
    // It answers nothing more, from when it has failed.
    const waiting: (() => void)[] = [];
    let isSilent = false;
    const status: Answer = (socket, id) => {
      const answer = (): void => value({ status: bad.running ? 'running' : 'paused' })(socket, id);
      if (isSilent) waiting.push(answer);
      else answer();
    };
    const migrate: Answer = (socket, id, given) => {
      isSilent = true;
      refuse(socket, id, given);
    };
    const answers = { migrate, 'query-status': status };
    const bad: FakeVmm = await startFakeVmm({ running: true, answers });
    const suspension = suspensionOf([adopted('good', good.path), adopted('bad', bad.path)], 'leave');
    await suspension.prepare();
    // No answer is too late by itself.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    expect(await suspension.save()).toMatchObject([{ name: 'good' }]);
    expect(stagesOf(suspension)).toEqual({ good: 'saved', bad: 'left_behind' });
    const ended = suspension.letRunOn();
    while (waiting.length === 0) await setImmediate();
    isSilent = false;
    for (const answer of waiting) answer();
    expect(await ended).toEqual([]);
    expect([good.running, bad.running]).toEqual([true, true]);
    suspension.close();
  });

  it('and is left behind runs on, and is not told to once more', async () => {
    const [one, other] = [await startFakeVmm(), await startFakeVmm()];
    const machines = [adopted('one', one.path), adopted('other', other.path)];
    const suspension = suspensionOf(machines, 'leave');
    await suspension.prepare();
    await suspension.save();
    suspension.leave(machines[0]?.machine.pid ?? 0, 'its disk is gone');
    await vi.waitFor(() => expect([one.running, other.running].filter(Boolean)).toHaveLength(1));
    const left = suspension.runs().find(({ stage }) => stage === 'left_behind');
    expect(left).toMatchObject({
      detail: expect.stringMatching(/its disk is gone$/),
    });
    expect(suspension.saved).toHaveLength(1);
    const told = (): number =>
      [one, other].flatMap(({ commands }) => commands.filter((each) => each === 'cont')).length;
    expect(told()).toBe(1);
    expect(await suspension.letRunOn()).toEqual([]);
    expect(told()).toBe(2);
    expect(suspension.runs()).toMatchObject([
      { stage: 'running', detail: expect.stringContaining('its disk is gone') },
      { stage: 'running' },
    ]);
    // The update is over: nothing costs a machine any more.
    await suspension.leave(machines[1]?.machine.pid ?? 0, 'its disk is gone as well');
    expect(suspension.runs()).toMatchObject([{ stage: 'running' }, { stage: 'running' }]);
    suspension.close();
  });

  it('because the kernel does not come back ends the update under either policy, and all run on', async () => {
    const [one, other] = [await startFakeVmm(), await startFakeVmm()];
    const machines = [adopted('one', one.path), adopted('other', other.path)];
    const suspension = suspensionOf(machines, 'leave', {
      preserve: () => Promise.reject(new NotPreservedInTime('the kernel did not preserve it within 5 ms')),
    });
    await suspension.prepare();
    await expect(suspension.save()).rejects.toThrow(
      'one cannot be saved: the kernel did not preserve it within 5 ms',
    );
    expect(await suspension.letRunOn()).toEqual([]);
    expect([one.running, other.running]).toEqual([true, true]);
    suspension.close();
  });

  it('is told apart from one whose monitor another process has', async () => {
    const vmm = await startFakeVmm();
    const other = adopted('one', vmm.path);
    const suspension = suspensionOf([{ ...other, machine: { ...other.machine, pid: 1 } }]);
    await expect(suspension.prepare()).rejects.toThrow(
      `process ${process.pid} listens at ${vmm.path} in place of process 1`,
    );
    expect(vmm.commands).toEqual([]);
    suspension.close();
  });
});
