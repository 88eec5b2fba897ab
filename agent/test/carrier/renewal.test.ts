// SPDX-License-Identifier: Apache-2.0
/**
 * A renewal of a machine that runs, with each failure on its way: never do two VMMs run, and where the new one does not
 * come to run, the old one goes on.
 */
import { chmodSync, chownSync, mkdirSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { usualSettings } from '../../src/adoption/fake-vmm.fixture.ts';
import { writeMark } from '../../src/adoption/restart-mark.ts';
import { RanPerhaps } from '../../src/adoption/restore.ts';
import { nothing, refusal } from '../../src/qemu/fake-qmp.fixture.ts';
import { restoreMachine } from '../../src/update/program/restore-machine.ts';
import { carrierTests } from './carrier-tests.ts';
import { type RenewalOptions, RenewalScene } from './renewal.fixture.ts';
import { memoryText } from './running-vmm.fixture.ts';

const tests = carrierTests();
let scene: RenewalScene | null = null;
beforeEach((context) => context.skip(process.getuid?.() !== 0, 'a machine’s files are made by root'));
afterEach(async () => {
  await scene?.[Symbol.asyncDispose]();
  scene = null;
});

async function running(options: RenewalOptions = {}): Promise<RenewalScene> {
  scene = await RenewalScene.make(tests.carrier, options);
  return scene;
}

/** The old VMM runs as before, the new one is gone, and nothing is noted or left. */
function expectAsBefore({ guest, head, left, newRuns, oldLives, report }: RenewalScene, runs = true): void {
  expect([guest.running, newRuns, oldLives]).toEqual([runs, false, true]);
  expect(report?.ran ?? 0).toBe(0);
  expect(guest.settings).toEqual(usualSettings);
  expect(head).toMatchObject({ suspended: false, before: null });
  expect(head.renewal ?? null).toBeNull();
  expect(left).toEqual([]);
}

/** The new VMM runs with the memory of the old one, which has ended. */
function expectRenewed({ guest, head, newRuns, newVmm, oldLives, report }: RenewalScene): void {
  expect([guest.running, newRuns, oldLives]).toEqual([false, true, false]);
  expect(report?.loaded).toEqual(['device state']);
  expect(report?.ran).toBeGreaterThan(0);
  expect(head).toMatchObject({ pid: newVmm, suspended: false, renewal: null });
}

describe('a machine', () => {
  it.each(['named_memory', 'cpr'] as const)('goes on in its new VMM: %s', async (way) => {
    const one = await running({ way });
    expect(await one.renew()).toEqual({
      ...{ outcome: 'renewed', problem: null, pid: one.old.pid, newPid: one.newVmm },
      ...{ version: '11.1.2', newVersion: '11.1.3', stoppedUs: expect.any(Number) },
    });
    expect(one.stages).toEqual(['saving', 'starting', 'ending']);
    expect(one.report).toMatchObject({ handed: way === 'cpr' ? [] : [memoryText], ran: 1 });
    expectRenewed(one);
    expect(one.left).toEqual([]);
  });

  it('that is paused stays so in its new VMM', async () => {
    const one = await running({ running: false });
    expect(await one.renew()).toMatchObject({ outcome: 'renewed', problem: null });
    expect([one.newRuns, one.oldLives, one.report?.ran]).toEqual([true, false, 0]);
  });

  it.each([
    ['die', 'it ended'],
    ['no-incoming', 'it will not'],
    ['bad-state', 'no such device'],
    ['die-at-state', 'the VMM '],
  ])('runs on in its old VMM if the new one fails: %s', async (whim, why) => {
    const one = await running({ whim });
    expect(await one.renew()).toMatchObject({
      ...{ outcome: 'runs_on', newPid: null, stoppedUs: expect.any(Number) },
      problem: expect.stringContaining(why),
    });
    expect(one.stages).toEqual(['saving', 'starting']);
    expectAsBefore(one);
  });

  it.each(['hang', 'takes-nothing', 'silent'])(
    'runs on in its old VMM after the limit if the new one hangs: %s',
    async (whim) => {
      const one = await running({ whim, limitMs: 2000 });
      expect(await one.renew()).toMatchObject({
        outcome: 'runs_on',
        problem: expect.stringContaining('it was not through after 2 seconds'),
      });
      expectAsBefore(one);
    },
    20_000,
  );

  it('runs on in its old VMM if the agent is to end', async () => {
    const one = await running({ whim: 'takes-nothing' });
    one.onStart = () => one.ending.abort(new Error('the agent ends'));
    expect(await one.renew()).toMatchObject({ outcome: 'runs_on', problem: 'the agent ends' });
    expectAsBefore(one);
  });

  it.each([
    [{ migrate: refusal('not today') }, 'not today'],
    [{ migrate: nothing }, 'it was not through after 2 seconds'],
  ])('whose old VMM cannot be saved runs on in it, and no new one is started', async (answers, why) => {
    const one = await running({ answers, limitMs: 2000 });
    expect(await one.renew()).toMatchObject({
      outcome: 'runs_on',
      problem: expect.stringContaining(why),
    });
    expect(one.asked).toEqual([]);
    expectAsBefore(one);
  });

  it('whose new VMM refuses to let it run runs on in its old one, once the new one has ended', async () => {
    const one = await running({ whim: 'no-cont' });
    expect(await one.renew()).toMatchObject({
      outcome: 'runs_on',
      problem: expect.stringContaining('it will not'),
    });
    expectAsBefore(one);
  });

  it('is not let run while it is unknown whether the new VMM has ended', async () => {
    const one = await running({ whim: 'bad-state' });
    const stopped: boolean[] = [];
    one.stopRefused = 2;
    const { logged, guest } = one;
    logged.push = (...messages) => {
      stopped.push(guest.running);
      return Array.prototype.push.apply(logged, messages);
    };
    expect(await one.renew()).toMatchObject({ outcome: 'runs_on' });
    expect(logged).toContain('a renewal cannot be undone yet, and is tried again');
    expect(stopped).not.toContain(true);
    expectAsBefore(one);
  }, 20_000);

  it('runs on although a socket cannot have its name back yet, which is tried again', async () => {
    const one = await running({ whim: 'die' });
    const { path } = one.guest;
    one.onStart = () => mkdirSync(path);
    expect(await one.renew()).toMatchObject({
      outcome: 'runs_on',
      problem: expect.stringContaining('its sockets do not have their names yet'),
    });
    expect([one.guest.running, one.head.suspended, one.head.renewal?.aside[0]?.path]).toEqual([
      ...[true, false, path],
    ]);
    rmdirSync(path);
    await one.settle();
    expectAsBefore(one);
  });

  it('whose socket is another user’s by now is not touched', async () => {
    const one = await running();
    chownSync(one.guest.path, 1234, 1234);
    await expect(one.renew()).rejects.toThrow('belongs to user 1234');
    expectAsBefore(one);
  });

  it('whose socket others could take the place of is not touched', async () => {
    const one = await running();
    const { path } = one.guest;
    chmodSync(dirname(path), 0o1777);
    chownSync(dirname(path), 1234, 1234);
    await expect(one.renew()).rejects.toThrow('could not be put aside');
    expectAsBefore(one);
  });

  it('is left stopped if its new VMM ends after it was told to run', async () => {
    const one = await running();
    one.restore = async (options) => {
      const pid = await restoreMachine(options);
      await one.crash();
      throw new RanPerhaps(new Error(`process ${pid} ended`));
    };
    expect(await one.renew()).toMatchObject({
      ...{ outcome: 'stopped', newPid: null, stoppedUs: null },
      problem: expect.stringContaining('is left stopped, because its memory may have changed since'),
    });
    expect([one.guest.running, one.newRuns, one.oldLives]).toEqual([false, false, true]);
    // Nobody lets it run, and its settings are put back.
    expect(one.head).toMatchObject({ suspended: false, renewal: null, before: { ran: false } });
    expect(one.left).toEqual([]);
  });

  it('goes on in its new VMM although the service manager cannot be heard from its start on', async () => {
    const one = await running();
    one.startUnheard = true;
    one.settleRefused = 2;
    expect(await one.renew()).toMatchObject({ outcome: 'renewed', problem: null });
    expectRenewed(one);
  }, 20_000);

  it('runs on in its old VMM after the limit also where the service manager cannot be heard', async () => {
    const one = await running({ whim: 'hang', limitMs: 2000 });
    one.startUnheard = true;
    one.settleRefused = 1;
    expect(await one.renew()).toMatchObject({
      outcome: 'runs_on',
      problem: expect.stringContaining('it was not through after 2 seconds'),
    });
    expectAsBefore(one);
  }, 20_000);

  it('goes on in its new VMM although it cannot be noted that this has its state', async () => {
    const one = await running();
    one.onStart = () => mkdirSync(join(one.head.renewal?.directory ?? '', 'loaded'));
    expect(await one.renew()).toMatchObject({ outcome: 'renewed', problem: null });
    expectRenewed(one);
    expect(one.logged).toContain('it could not be noted that a new VMM has its state');
  });

  it('is left stopped if its new VMM ends in the moment in which it was told to run', async () => {
    const one = await running();
    one.restore = async (options) => {
      const { starter } = options;
      const pid: typeof starter.pid = async (unit) => {
        await one.crash();
        return await starter.pid(unit);
      };
      return await restoreMachine({ ...options, starter: { ...starter, pid } });
    };
    expect(await one.renew()).toMatchObject({ outcome: 'stopped', newPid: null });
    expect([one.guest.running, one.newRuns, one.oldLives]).toEqual([false, false, true]);
    expect(one.head).toMatchObject({ suspended: false, renewal: null, before: { ran: false } });
  });

  it('is left stopped if its new VMM is told to run just before its unit is stopped', async () => {
    const one = await running();
    one.restore = async ({ machine, state }) => {
      one.onStop = () => writeMark(native.memory, state, machine, 'running');
      throw new Error('it did not start');
    };
    expect(await one.renew()).toMatchObject({
      outcome: 'stopped',
      problem: expect.stringContaining('it did not start'),
    });
    expect([one.guest.running, one.oldLives]).toEqual([false, true]);
  });

  it.each([
    ['-netdev', 'tap,id=net,ifname=tap9', 'the tap tap9 cannot be had by two VMMs at once'],
    ['-vnc', ':1', 'the port of its display :1'],
  ])('is not touched if its new VMM could not have all of it: %s %s', async (option, value, why) => {
    const one = await running({ words: [option, value] });
    await expect(one.renew()).rejects.toThrow(why);
    expect([one.stages, one.asked, one.guest.commands]).toEqual([[], [], []]);
    expectAsBefore(one);
  });
});

describe('an agent that dies', () => {
  /** Its end comes once the carrier is through, or at once. */
  const dies = (one: RenewalScene, when: 'before it is started' | 'while it is started' | 'once it runs') => {
    const gone = Promise.withResolvers<void>();
    one.restore = async (options) => {
      if (when !== 'before it is started') {
        const restoring = restoreMachine({
          ...options,
          // It does not get to read what the carrier has said.
          reached: () => {},
        }).catch(() => {});
        if (when === 'once it runs') await restoring;
      }
      gone.resolve();
      return await new Promise<never>(() => {});
    };
    void one.renew();
    return gone.promise;
  };

  it.each(['while it is started', 'once it runs'] as const)(
    'leaves a machine that goes on in its new VMM: %s',
    async (when) => {
      const one = await running();
      await dies(one, when);
      expect(one.head).toMatchObject({ suspended: true, renewal: { from: { pid: one.old.pid } } });
      await one.settle();
      expectRenewed(one);
      // Where the old VMM was to send its state is the dead agent's.
      expect(one.left.filter((name) => /^renewal-|\.before-/.test(name))).toEqual([]);
    },
  );

  it('before there is a new VMM leaves the old one to be let run', async () => {
    const one = await running();
    await dies(one, 'before it is started');
    await one.settle();
    // Whoever settles it lets it run then, by its mark.
    expect(one.head).toMatchObject({ suspended: true, renewal: null, before: { ran: true } });
    expect([one.newRuns, one.oldLives, one.left.filter((name) => name.includes('.before-'))]).toEqual([
      ...[false, true, []],
    ]);
  });

  it.each(['die', 'bad-state'])(
    'with a new VMM that fails leaves the old one to be let run: %s',
    async (whim) => {
      const one = await running({ whim });
      await dies(one, 'while it is started');
      await one.settle();
      expect(one.head).toMatchObject({ suspended: true, renewal: null, before: { ran: true } });
      expect([one.newRuns, one.oldLives, one.report?.ran]).toEqual([false, true, 0]);
    },
  );

  it('with a new VMM that has run and ended leaves the machine stopped', async () => {
    const one = await running();
    one.restore = async (options) => {
      await restoreMachine(options);
      await one.crash();
      return await new Promise<never>(() => {});
    };
    void one.renew();
    while (one.newVmm === null || one.newRuns) await new Promise((resolve) => setImmediate(resolve));
    await one.settle();
    expect(one.head).toMatchObject({ suspended: false, renewal: null, before: { ran: false } });
    expect([one.guest.running, one.oldLives]).toEqual([false, true]);
    expect(one.logged).toContain(
      'a machine is left stopped: its new VMM ended after it may have been told to run',
    );
  });

  it('before the old VMM has ended leaves that to be ended', async () => {
    const one = await running();
    const { renewal } = await (async () => {
      await dies(one, 'once it runs');
      return one.head;
    })();
    one.head = { ...one.head, pid: one.newVmm ?? 0, startTime: 'new', suspended: false };
    expect([renewal?.from.pid, one.oldLives]).toEqual([one.old.pid, true]);
    await one.settle();
    expect([one.newRuns, one.oldLives, one.head.renewal]).toEqual([true, false, null]);
  });
});
