// SPDX-License-Identifier: Apache-2.0
/**
 * A machine is after an update that went no further what it was before: its migration settings are, and only a guest
 * that ran is let run. What somebody else does to it meanwhile, through another monitor, is seen.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Answer, nothing, refusal, value } from '../qemu/fake-qmp.fixture.ts';
import { type FakeVmm, startFakeVmm, usualSettings } from './fake-vmm.fixture.ts';
import { adopted, SuspensionScene, stagesOf } from './suspension.fixture.ts';
import type { Suspension } from './suspension.ts';

let scene: SuspensionScene;
let suspension: Suspension | null = null;
beforeEach(() => {
  scene = new SuspensionScene();
});
afterEach(() => {
  suspension?.close();
  suspension = null;
  scene[Symbol.dispose]();
});

const ways = ['whole_state', 'named_memory', 'cpr'] as const;

/** An update of one machine, ready to stop it. */
async function ready(
  vmm: FakeVmm,
  way: (typeof ways)[number] = 'whole_state',
  policy: 'stop' | 'leave' = 'stop',
): Promise<Suspension> {
  suspension = scene.suspension([adopted('one', vmm.path, way)], policy);
  await suspension.prepare();
  return suspension;
}

/** What libvirt sets: it cannot be told exactly as a number. */
const unlimited = 2 ** 63 - 2 ** 20;

const noted = () => scene.notes.get('machine:one');
const sets = (vmm: FakeVmm): string[] => vmm.commands.filter((each) => each.startsWith('migrate-set'));

describe('the migration settings of a machine', () => {
  it.each(ways)('are as before once an update is aborted in its grace: %s', async (way) => {
    const vmm = await startFakeVmm();
    const update = await ready(vmm, way);
    const { capabilities, parameters } = vmm.settings;
    expect(capabilities).toMatchObject({ events: true, 'x-ignore-shared': way === 'named_memory' });
    expect(parameters).toMatchObject({ mode: way === 'cpr' ? 'cpr-transfer' : 'normal' });
    expect(parameters['max-bandwidth']).toBe(way === 'cpr' ? 134_217_728 : 0);
    expect(await update.letRunOn()).toEqual([]);
    expect(vmm.settings).toEqual(usualSettings);
    expect(noted()).toBeNull();
    expect(vmm.commands).not.toContain('stop');
  });

  it.each(ways)('are as before once a machine that was saved runs on: %s', async (way) => {
    const vmm = await startFakeVmm();
    const update = await ready(vmm, way);
    await update.save();
    expect(await update.letRunOn()).toEqual([]);
    expect({ running: vmm.running, settings: vmm.settings }).toEqual({
      running: true,
      settings: usualSettings,
    });
    expect(noted()).toBeNull();
  });

  it('are noted before any of them is changed', async () => {
    const vmm = await startFakeVmm();
    let atNote: unknown = null;
    suspension = scene.suspension([adopted('one', vmm.path, 'named_memory')], 'stop', {
      mark: (_session, { before }) => {
        atNote ??= { before, settings: vmm.settings };
      },
    });
    await suspension.prepare();
    expect(atNote).toEqual({
      before: {
        ran: true,
        saving: false,
        settings: {
          capabilities: { events: false, 'x-ignore-shared': false },
          parameters: { mode: 'normal', 'max-bandwidth': 134_217_728 },
        },
      },
      settings: usualSettings,
    });
  });

  it('are not changed if they cannot be noted', async () => {
    const vmm = await startFakeVmm();
    const mark = () => {
      throw new RangeError('no room');
    };
    suspension = scene.suspension([adopted('one', vmm.path)], 'stop', { mark });
    await expect(suspension.prepare()).rejects.toThrow('one cannot be saved: no room');
    expect(vmm.settings).toEqual(usualSettings);
  });

  it('that others have made and that would change the save are switched off for it, and put back', async () => {
    const capabilities = { multifd: true, events: true };
    const parameters = { 'tls-creds': 'tls0', 'max-bandwidth': unlimited };
    const vmm = await startFakeVmm({ running: true, settings: { capabilities, parameters } });
    const made = vmm.settings;
    const update = await ready(vmm);
    expect(vmm.settings).toMatchObject({
      capabilities: { multifd: false, events: true },
      parameters: { 'tls-creds': '', 'max-bandwidth': unlimited },
    });
    expect(await update.save()).toMatchObject([
      { capabilities: { multifd: true, events: true, 'x-ignore-shared': false } },
    ]);
    expect(await update.letRunOn()).toEqual([]);
    expect(vmm.settings).toEqual(made);
  });

  it('are as before where making ready fails half-way', async () => {
    const answers = { 'migrate-set-parameters': refusal('not today') };
    const vmm = await startFakeVmm({ running: true, answers });
    suspension = scene.suspension([adopted('one', vmm.path, 'named_memory')]);
    await expect(suspension.prepare()).rejects.toThrow('not today');
    // What could not be put back stays noted.
    expect(noted()).toMatchObject({ ran: true });
    const once = await startFakeVmm({ running: true, answers: { 'qom-list': value([]) } });
    const failing = scene.suspension([adopted('two', once.path, 'named_memory')], 'leave', {
      facts: () => Promise.reject(new Error('its rights are unknown')),
    });
    await failing.prepare();
    expect(stagesOf(failing)).toEqual({ two: 'left_behind' });
    await vi.waitFor(() => expect(scene.notes.get('machine:two')).toBeNull());
    expect(once.settings).toEqual(usualSettings);
    failing.close();
  });

  it('are as before once a machine is left behind', async () => {
    const vmm = await startFakeVmm({ running: true, answers: { migrate: refusal('not today') } });
    const update = await ready(vmm, 'named_memory', 'leave');
    await update.save();
    expect(stagesOf(update)).toEqual({ one: 'left_behind' });
    await vi.waitFor(() => expect(noted()).toBeNull());
    expect({ running: vmm.running, settings: vmm.settings }).toEqual({
      running: true,
      settings: usualSettings,
    });
    expect(noted()).toBeNull();
  });

  it('stay noted if they cannot be put back, and the machine runs on all the same', async () => {
    let refuses = false;
    const set: Answer = (socket, id) => (refuses ? refusal('not today') : value({}))(socket, id);
    const vmm = await startFakeVmm({ running: true, answers: { 'migrate-set-parameters': set } });
    const update = await ready(vmm);
    await update.save();
    refuses = true;
    expect(await update.letRunOn()).toEqual([
      'the migration settings of one are not as before yet: not today',
    ]);
    expect({ running: vmm.running, stages: stagesOf(update) }).toEqual({
      running: true,
      stages: { one: 'running' },
    });
    expect(scene.marks.at(-1)).toBe('!machine:one');
    expect(noted()).toMatchObject({ settings: { parameters: { mode: 'normal' } } });
  });

  it('are those from before the first of two updates, if nobody has put them back in between', async () => {
    const vmm = await startFakeVmm({
      ...{ running: true, settings: { parameters: { mode: 'cpr-transfer' } } },
    });
    const { session, machine } = adopted('one', vmm.path);
    const before = {
      ran: true,
      saving: true,
      settings: { capabilities: {}, parameters: { mode: 'normal' } },
    };
    suspension = scene.suspension([{ session, machine: { ...machine, before } }]);
    await suspension.prepare();
    await suspension.letRunOn();
    expect(vmm.settings.parameters['mode']).toBe('normal');
  });
});

describe('a guest that does not run', () => {
  it.each(['paused', 'io-error', 'guest-panicked', 'shutdown'])(
    'because it is %s is saved as it is, and never told to run',
    async (status) => {
      const vmm = await startFakeVmm();
      vmm.becomes(status);
      const update = await ready(vmm);
      expect(await update.save()).toMatchObject([{ ran: false }]);
      expect(await update.letRunOn()).toEqual([]);
      expect(vmm.commands).not.toContain('cont');
      expect(update.runs()).toMatchObject([{ detail: 'it does not run, as before the update' }]);
    },
  );

  it.each(['postmigrate', 'inmigrate', 'finish-migrate'])(
    'because somebody else migrates it is not touched: %s',
    async (status) => {
      const vmm = await startFakeVmm();
      vmm.becomes(status);
      suspension = scene.suspension([adopted('one', vmm.path)]);
      await expect(suspension.prepare()).rejects.toThrow(`one cannot be saved: its state is "${status}"`);
      expect(await suspension.letRunOn()).toEqual([]);
      expect(sets(vmm)).toEqual([]);
      expect(vmm.commands).not.toContain('cont');
    },
  );

  it('is told apart from one that was suspended to memory: that one goes on being so', async () => {
    const vmm = await startFakeVmm();
    vmm.becomes('suspended');
    const update = await ready(vmm);
    expect(await update.save()).toMatchObject([{ ran: true }]);
    await update.letRunOn();
    expect(vmm.commands).toContain('cont');
  });

  it('because of an error that came while it was stopped is left so, and that is said', async () => {
    const vmm = await startFakeVmm();
    const update = await ready(vmm);
    await update.save();
    vmm.becomes('io-error');
    const left = 'its state is "io-error", which the update has not caused, and stays so';
    expect(await update.letRunOn()).toEqual([`one does not run on: ${left}`]);
    expect(update.runs()).toMatchObject([{ stage: 'running', detail: left }]);
    expect(vmm.commands).not.toContain('cont');
    expect(vmm.settings).toEqual(usualSettings);
  });
});

describe('what somebody else does to a machine', () => {
  it.each(ways)('in the grace: one that is paused is carried over so: %s', async (way) => {
    const vmm = await startFakeVmm();
    const update = await ready(vmm, way);
    vmm.pause();
    expect(await update.save()).toMatchObject([{ ran: false }]);
    expect(noted()).toMatchObject({ ran: false });
    await update.letRunOn();
    expect(vmm.commands).not.toContain('cont');
  });

  it('in the grace: one that is let run, runs on', async () => {
    const vmm = await startFakeVmm({ running: false });
    const update = await ready(vmm);
    vmm.goOn();
    expect(await update.save()).toMatchObject([{ ran: true }]);
    await update.letRunOn();
    expect(vmm.running).toBe(true);
  });

  it('between the last look at it and its stop is heard of by itself', async () => {
    const vmm = await startFakeVmm();
    // On this way the descriptors are preserved in between.
    const one = adopted('one', vmm.path, 'cpr');
    suspension = scene.suspension([one], 'stop', {
      mark: (_session, { suspended, before }) => {
        if (suspended === true) marked = before?.ran;
      },
    });
    let marked: boolean | undefined;
    await suspension.prepare();
    const { commands } = vmm;
    const { push } = commands;
    commands.push = (...names) => {
      const count = push.apply(commands, names);
      if (names.includes('migrate')) vmm.pause();
      return count;
    };
    expect(await suspension.save()).toMatchObject([{ ran: false }]);
    expect(marked).toBe(false);
  });

  it('in the grace: one that is migrated away is neither saved nor let run', async () => {
    const vmm = await startFakeVmm();
    const update = await ready(vmm);
    vmm.becomes('postmigrate');
    await expect(update.save()).rejects.toThrow('one cannot be saved: its state is "postmigrate"');
    expect(await update.letRunOn()).toEqual([]);
    expect(vmm.commands.filter((each) => ['stop', 'cont', 'migrate'].includes(each))).toEqual([]);
  });

  it('a migration of their own goes on, and the machine is not saved', async () => {
    let status = 'none';
    const answers = { 'query-migrate': ((socket, id) => value({ status })(socket, id)) satisfies Answer };
    const vmm = await startFakeVmm({ running: true, answers });
    const update = await ready(vmm);
    status = 'active';
    await expect(update.save()).rejects.toThrow('one cannot be saved: somebody else is migrating it');
    await update.letRunOn();
    expect(vmm.commands.filter((each) => ['stop', 'cont', 'migrate_cancel'].includes(each))).toEqual([]);
  });

  it('a device that is removed or added in the grace keeps it from being saved', async () => {
    let ids: readonly string[] = [];
    let nameless: readonly string[] = [];
    const list: Answer = (socket, id, given) => {
      const names = (given as { path: string }).path === '/machine/peripheral' ? ids : nameless;
      value(names.map((name) => ({ name, type: 'child<virtio-net-pci>' })))(socket, id);
    };
    for (const [now, anonymous, said] of [
      [[], ['device[0]'], 'its device net0 has been removed'],
      [['net0', 'net1'], ['device[0]'], 'its device net1 has been added'],
      [['net0'], ['device[0]', 'device[1]'], 'its device without an id (device[1]) has been added'],
    ] as const) {
      ids = ['net0'];
      nameless = ['device[0]'];
      const vmm = await startFakeVmm({ running: true, answers: { 'qom-list': list } });
      const update = await ready(vmm);
      [ids, nameless] = [now, anonymous];
      await expect(update.save()).rejects.toThrow(`one cannot be saved: ${said}`);
      expect(vmm.commands).not.toContain('stop');
      update.close();
    }
  });

  it('a device whose removal QEMU tells of keeps it from being saved', async () => {
    const vmm = await startFakeVmm();
    const update = await ready(vmm);
    vmm.tell('DEVICE_DELETED', { device: 'net0', path: '/machine/peripheral/net0' });
    await expect(update.save()).rejects.toThrow('one cannot be saved: its device net0 has been removed');
  });
});

describe('a guest that somebody else lets run after it was saved', () => {
  /** Saved, and let run; what QEMU tells has arrived. */
  async function started(policy: 'stop' | 'leave', andPaused = false): Promise<[FakeVmm, Suspension]> {
    const vmm = await startFakeVmm();
    const update = await ready(vmm, 'whole_state', policy);
    await update.save();
    vmm.goOn();
    if (andPaused) vmm.pause();
    // Its answer is behind the events.
    await update.needStopped().catch(() => {});
    return [vmm, update];
  }
  const said = 'one cannot be carried over: somebody else let its guest run after it was stopped';

  it('ends the update under the policy stop', async () => {
    const [vmm, update] = await started('stop');
    expect(() => update.needNotStarted()).toThrow(said);
    expect(() => update.leaveStarted()).toThrow(said);
    expect(await update.letRunOn()).toEqual([]);
    expect(vmm.running).toBe(true);
    expect(vmm.commands).not.toContain('cont');
  });

  it('is left behind under the policy leave, and not told to run', async () => {
    const [vmm, update] = await started('leave');
    expect(update.leaveStarted()).toBe(true);
    expect(update.runs()).toMatchObject([{ stage: 'left_behind', detail: said }]);
    expect(update.saved).toEqual([]);
    expect(vmm.commands).not.toContain('cont');
    await expect(update.needStopped()).resolves.toBeUndefined();
    expect(() => update.needNotStarted()).not.toThrow();
    expect(update.leaveStarted()).toBe(false);
  });

  it.each([false, true])('is found by the last question, also if it was paused again: %s', async (paused) => {
    const [, update] = await started('leave', paused);
    await expect(update.needStopped()).rejects.toThrow(said);
  });
});

describe('the last question', () => {
  const saved = async (answers: Record<string, Answer> = {}): Promise<[FakeVmm, Suspension]> => {
    const vmm = await startFakeVmm({ running: true, answers });
    const update = await ready(vmm, 'cpr', 'leave');
    await update.save();
    return [vmm, update];
  };

  it('lets the kexec go on if the machines are as they were saved', async () => {
    const [, update] = await saved();
    await expect(update.needStopped()).resolves.toBeUndefined();
  });

  it('ends the update if QEMU has another state, although it told nothing', async () => {
    const [vmm, update] = await saved();
    vmm.becomes('save-vm');
    await expect(update.needStopped()).rejects.toThrow(
      'one cannot be carried over: its state is "save-vm" since it was saved',
    );
  });

  it('ends the update if a VMM does not answer', async () => {
    let answers = true;
    const status: Answer = (socket, id) =>
      (answers ? value({ status: 'running', running: true }) : nothing)(socket, id);
    const [, update] = await saved({ 'query-status': status });
    answers = false;
    await expect(update.needStopped()).rejects.toThrow(
      'one cannot be carried over: it is not known whether it is stopped: its VMM did not answer in 1000 ms',
    );
  });

  it('takes a VMM to be there of which nobody can say whether it is', async () => {
    const [vmm, update] = await saved();
    vmm.hangUp();
    scene.areThere = new Promise(() => {});
    await expect(update.needStopped()).rejects.toThrow('it is not known whether it is stopped');
  });

  it.each([
    { is: 'has ended with its VMM', areThere: false },
    { is: 'cannot be asked any more', areThere: true },
  ])('lets the kexec go on only if a machine $is', async ({ areThere }) => {
    const [vmm, update] = await saved();
    vmm.hangUp();
    scene.areThere = areThere;
    if (areThere) await expect(update.needStopped()).rejects.toThrow('it is not known whether it is stopped');
    else await expect(update.needStopped()).resolves.toBeUndefined();
  });
});
