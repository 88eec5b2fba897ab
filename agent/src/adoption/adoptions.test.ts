// SPDX-License-Identifier: Apache-2.0
/**
 * Adopted machines before the kexec: VMMs that share memory, end, or whose number another process has; and guests
 * that an agent stopped before it died.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, lstatSync, openSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { identify } from '../host/process-files.ts';
import { fillable } from '../journal/full-disk.fixture.ts';
import { agentItself } from '../liveupdate/live-update-context.ts';
import { MachineHead } from '../liveupdate/machine-head.ts';
import { type Answer, type FakeQmp, refusal, serveQmp, value } from '../qemu/fake-qmp.fixture.ts';
import { AdoptionScene, end, plain, sealedMemfd } from './adoptions.fixture.ts';
import { startFakeVmm } from './fake-vmm.fixture.ts';

let scene: AdoptionScene;
beforeEach(() => {
  scene = new AdoptionScene();
});
afterEach(() => scene[Symbol.dispose]());

/** The next time that anything about the sessions changes. */
const changed = (): Promise<unknown> => once(scene.sessions.events, 'changed');

describe('a machine', () => {
  it('whose preserving fails is not adopted, and its memory can be preserved afterwards', async () => {
    const one = await scene.startVmm('one', [scene.memfd('ram'), scene.memfd('more')]);
    const { preserveFd } = scene.double;
    vi.spyOn(scene.double, 'preserveFd').mockImplementation(async (...given) => {
      if (given[2] !== 1n) return await preserveFd.apply(scene.double, given);
      throw Object.assign(new Error('preserveFd: ENOMEM'), { code: 'ENOMEM', errno: 12, syscall: 'ioctl' });
    });
    await expect(scene.adopt(one)).rejects.toMatchObject({ refusal: 'KernelCallFailed' });
    expect(scene.sessions.list()).toEqual([]);
    vi.restoreAllMocks();
    expect(scene.placesIn(await scene.adopt(one))).toBe(2);
  });

  /** The kernel does not come back from preserving a file of a machine, whose look names its session from then on. */
  async function adoptUnanswered(): Promise<{
    one: ChildProcess;
    adopting: Promise<void>;
    answer: PromiseWithResolvers<void>;
  }> {
    const one = await scene.startVmm('one', [scene.memfd('ram')]);
    const [begun, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const { preserveFd } = scene.double;
    vi.spyOn(scene.double, 'preserveFd').mockImplementation(async (...given) => {
      if (given[2] !== 0n) return await preserveFd.apply(scene.double, given);
      begun.resolve();
      await answer.promise;
      throw Object.assign(new Error('preserveFd: EIO'), { code: 'EIO', errno: 5, syscall: 'ioctl' });
    });
    onTestFinished(() => {
      vi.useRealTimers();
      vi.restoreAllMocks();
    });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const adopting = scene.adoptions.adopt(one.pid ?? 0, plain, agentItself);
    adopting.catch(() => {});
    await begun.promise;
    const { machine } = scene.machines.get(one.pid ?? 0) ?? {};
    if (machine) machine.session = scene.adoptions.list()[0]?.session ?? null;
    expect(machine?.session).toBe('machine:one');
    return { one, adopting, answer };
  }
  const again = (one: ChildProcess): Promise<void> =>
    scene.adoptions.adopt(one.pid ?? 0, { ...plain, priority: 3 }, agentItself);
  const unusable = (reason: RegExp) => ({
    refusal: 'MachineUnusable',
    parameters: { name: 'one', reason: expect.stringMatching(reason) },
  });

  it('is not said to be adopted while a failed adoption is being undone', async () => {
    const { one, adopting, answer } = await adoptUnanswered();
    const refused = expect(adopting).rejects.toMatchObject({ name: 'NotEnded' });
    // What preserving may take, and then what undoing it may take.
    for (const ms of [15_000, 15_000]) {
      await vi.advanceTimersByTimeAsync(ms);
      await setImmediate();
    }
    await refused;
    await expect(again(one)).rejects.toMatchObject(
      unusable(/^its adoption is still being undone: preserving memory of one: .* was not done within/),
    );
    const gone = changed();
    answer.resolve();
    await gone;
    vi.useRealTimers();
    vi.restoreAllMocks();
    await scene.sessions.quiet();
    expect(scene.sessions.list()).toEqual([]);
    const { machine } = scene.machines.get(one.pid ?? 0) ?? {};
    if (machine) machine.session = null;
    expect(scene.placesIn(await scene.adopt(one))).toBe(1);
  });

  it('is not said to be adopted while its adoption is under way, or once it could not be undone', async () => {
    const { one, adopting, answer } = await adoptUnanswered();
    await expect(again(one)).rejects.toMatchObject(unusable(/^its adoption is still under way$/));
    vi.useRealTimers();
    const close = vi.spyOn(scene.sessions, 'close').mockRejectedValueOnce(new Error('no answer'));
    answer.resolve();
    await expect(adopting).rejects.toMatchObject({ refusal: 'KernelCallFailed' });
    expect(close).toHaveBeenCalled();
    await expect(again(one)).rejects.toMatchObject(
      unusable(/^its adoption failed and could not be undone; release it first: no answer$/),
    );
    vi.restoreAllMocks();
    await scene.adoptions.release(one.pid ?? 0, agentItself);
    const { machine } = scene.machines.get(one.pid ?? 0) ?? {};
    if (machine) machine.session = null;
    expect(scene.placesIn(await scene.adopt(one))).toBe(1);
  });

  it('whose memory would come back sealed is not adopted, and nothing of it is preserved', async () => {
    const sealed = sealedMemfd(scene, 'sealed');
    const one = await scene.startVmm('one', [scene.memfd('ram'), sealed]);
    const preserved = vi.spyOn(scene.double, 'preserveFd');
    await expect(scene.adopt(one)).rejects.toMatchObject({
      refusal: 'MachineUnusable',
      parameters: {
        reason: expect.stringMatching(/^\/memfd:one1 \(deleted\): .*F_SEAL_EXEC.*vm\.memfd_noexec=0/),
      },
    });
    expect(scene.sessions.list()).toEqual([]);
    expect(preserved).not.toHaveBeenCalled();
    vi.restoreAllMocks();
  });

  it('whose further memory would come back sealed is not protected: the update ends before a stop', async () => {
    const one = await scene.startVmm('one', [scene.memfd('ram')]);
    const session = await scene.adopt(one);
    scene.plug(one.pid ?? 0, 9, 'plugged', sealedMemfd(scene, 'plugged'));
    await expect(scene.adoptions.protect(session, agentItself, {})).rejects.toMatchObject({
      refusal: 'MachineUnusable',
      parameters: { reason: expect.stringContaining('/memfd:plugged (deleted): ') },
    });
    expect(scene.placesIn(session)).toBe(1);
  });

  it('that is saved whole has no memory preserved, even if it could be by now', async () => {
    const one = await scene.startVmm('one', []);
    const { machine } = scene.machines.get(one.pid ?? 0) ?? {};
    if (!machine) throw new Error('no machine');
    machine.way = 'whole_state';
    const session = await scene.adopt(one);
    // As after an update, in a kernel that seals no memory.
    machine.way = 'cpr';
    scene.plug(one.pid ?? 0, 9, 'ram', scene.memfd('ram'));
    await scene.adoptions.protect(session, agentItself, {});
    expect(scene.placesIn(session)).toBe(0);
  });

  it('has no session any more once its VMM has ended', async () => {
    const one = await scene.startVmm('one', [scene.memfd('ram')]);
    const session = await scene.adopt(one);
    const gone = changed();
    await end(one);
    await gone;
    await scene.sessions.quiet();
    expect(scene.sessions.has(session)).toBe(false);
  });

  it('that an update had stopped has no session any more once its VMM has ended and the update is over', async () => {
    const [one, two] = [
      await scene.startVmm('one', [scene.memfd('ram')]),
      await scene.startVmm('two', [scene.memfd('more')]),
    ];
    const sessions = [await scene.adopt(one), await scene.adopt(two)];
    const has = (): boolean[] => sessions.map((session) => scene.sessions.has(session));
    for (const session of sessions) scene.adoptions.stopped.mark(session, { suspended: true });
    scene.mayLetRunOn = false;
    await end(one);
    // While the update is under way its state is what the next kernel starts it from.
    await scene.sessions.quiet();
    expect(has()).toEqual([true, true]);
    await scene.adoptions.takeOver();
    expect(has()).toEqual([false, true]);
    scene.mayLetRunOn = true;
    const gone = changed();
    await end(two);
    await gone;
    await scene.sessions.quiet();
    expect(has()).toEqual([false, false]);
  });

  it('whose session was made though that could not be recorded is adopted, or leaves none behind', async () => {
    const disk = { full: false };
    fillable(disk);
    using scene = new AdoptionScene();
    const one = await scene.startVmm('one', [scene.memfd('ram')]);
    const { createSession } = scene.double;
    vi.spyOn(scene.double, 'createSession').mockImplementationOnce((...given) => {
      disk.full = true;
      return createSession.apply(scene.double, given);
    });
    await expect(scene.adopt(one)).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(scene.sessions.list()).toEqual([]);
    disk.full = false;
    expect(scene.placesIn(await scene.adopt(one))).toBe(1);
  });

  it('whose shared memory is in the session of one that is released is preserved again', async () => {
    const shared = scene.memfd('shared');
    const one = await scene.startVmm('one', [shared, scene.memfd('own')]);
    const two = await scene.startVmm('two', [scene.native.descriptors.duplicate(shared)]);
    const [first, second] = [await scene.adopt(one), await scene.adopt(two)];
    expect([scene.placesIn(first), scene.placesIn(second)]).toEqual([2, 0]);
    await scene.adoptions.release(one.pid ?? 0, agentItself);
    expect([scene.placesIn(first), scene.placesIn(second)]).toEqual([-1, 1]);
  });

  it('that is released has its session closed on a thread, however much memory is in it', async () => {
    const one = await scene.startVmm('one', [scene.memfd('ram')]);
    const session = await scene.adopt(one);
    const opened = scene.sessions.get(session).descriptor;
    const { closeAside } = scene.native.descriptors;
    const closing = vi.spyOn(scene.native.descriptors, 'closeAside').mockImplementation(async (file) => {
      // Its files are not closed before.
      expect(scene.placesIn(session)).toBe(1);
      await closeAside(file);
    });
    await scene.adoptions.release(one.pid ?? 0, agentItself);
    expect(closing.mock.calls).toEqual([[opened]]);
    expect(opened?.closed).toBe(true);
    expect(scene.sessions.has(session)).toBe(false);
    vi.restoreAllMocks();
  });

  it('that shares memory keeps it when the VMM of the other one ends', async () => {
    const shared = scene.memfd('shared');
    const one = await scene.startVmm('one', [shared]);
    const two = await scene.startVmm('two', [scene.native.descriptors.duplicate(shared)]);
    const [, second] = [await scene.adopt(one), await scene.adopt(two)];
    await end(one);
    await vi.waitFor(() => expect(scene.placesIn(second)).toBe(1));
  });

  it('has the priority that it was given, and another one if it is adopted again', async () => {
    using scene = new AdoptionScene();
    const { pid = 0 } = await scene.startVmm('one', [scene.memfd('ram')]);
    const adopt = (priority: number | null) =>
      scene.adoptions.adopt(pid, { ...plain, priority }, agentItself);
    const priority = () => scene.adoptions.list().map(({ machine }) => machine.priority);
    await adopt(20);
    expect(priority()).toEqual([20]);
    const found = scene.machines.get(pid);
    if (found) found.machine.session = scene.adoptions.list()[0]?.session ?? null;
    await adopt(null);
    expect(priority()).toEqual([20]);
    await adopt(30);
    expect(priority()).toEqual([30]);
  });

  it('is told by its start time from another process of its number', async () => {
    const one = await scene.startVmm('one', [scene.memfd('ram')]);
    const session = await scene.adopt(one);
    const identity = await identify('/proc', one.pid ?? 0);
    if (!identity) throw new Error('the process has ended');
    expect(scene.adoptions.of(identity)).toMatchObject({ session });
    expect(scene.adoptions.of({ ...identity, startTime: '1' })).toBeNull();
    // As an agent finds it that is started after the number has passed to another process.
    scene.sessions.get(session).updateMachine({ startTime: '1' });
    await scene.adoptions.takeOver();
    expect(scene.sessions.has(session)).toBe(false);
  });
});

describe('the name of a machine', () => {
  const startAs = (uid: number) =>
    scene.startVmm('web', [scene.memfd(`ram of ${uid}`)], '/nowhere', 'ignore', uid);
  const own = process.getuid?.() ?? 0;

  it.runIf(own === 0)(
    'may be that of another user’s: both are adopted, under names of their own',
    async () => {
      const [ann, ben] = [await startAs(1234), await startAs(1235)];
      expect([await scene.adopt(ann), await scene.adopt(ben)]).toEqual([
        'machine:web@1234',
        'machine:web@1235',
      ]);
      expect(scene.adoptions.list().map(({ machine }) => machine.name)).toEqual(['web', 'web']);
    },
  );

  it('may be a definition’s, whose session it does not get', async () => {
    scene.definitions.set('web', null);
    const found = await startAs(own);
    expect(await scene.adopt(found)).toBe(`machine:web@${own}`);
    expect(scene.adoptions.list()).toMatchObject([{ machine: { name: 'web', definition: null } }]);
    const { pid = 0 } = await startAs(own);
    const definition = { name: 'web', text: '{}' };
    await scene.adoptions.adopt(pid, { ...plain, definition }, agentItself);
    const started = scene.adoptions.list().find(({ machine }) => machine.pid === pid);
    expect(started?.session).toBe('machine:web');
  });

  it('is its definition’s again if it was released and is adopted once more', async () => {
    const started = await startAs(own);
    scene.definitions.set('web', started.pid ?? 0);
    expect(await scene.adopt(started)).toBe('machine:web');
    expect(scene.adoptions.list().map(({ machine }) => machine.priority)).toContain(7);
    expect(scene.adoptions.list()).toMatchObject([{ machine: { definition: 'web', definitionText: null } }]);
  });
});

describe('a guest that was stopped', () => {
  let monitor: FakeQmp;
  let running = false;
  const paused: Record<string, Answer> = {
    'query-status': (socket, id) => value({ status: running ? 'running' : 'paused', running })(socket, id),
  };
  const runs: Answer = (socket, id) => {
    running = true;
    value({})(socket, id);
  };
  beforeEach(() => {
    running = false;
  });

  async function stopped(answers: Parameters<typeof serveQmp>[0]): Promise<[ChildProcess, string]> {
    monitor = await serveQmp(answers);
    const one = await scene.startVmm('one', [scene.memfd('ram')], monitor.path);
    const session = await scene.adopt(one);
    scene.adoptions.stopped.mark(session, { suspended: true });
    return [one, session];
  }

  it('is let run on by the agent that finds its mark', async () => {
    const [, session] = await stopped({ ...paused, cont: runs });
    await scene.adoptions.stopped.letRunOn();
    expect(monitor.commands).toContain('cont');
    expect(scene.sessions.get(session).machine?.suspended).toBe(false);
  });

  it('is not told to run if it did not run before: its owner had paused it', async () => {
    const [, session] = await stopped({ ...paused, cont: runs });
    const settings = { capabilities: {}, parameters: {} };
    scene.adoptions.stopped.mark(session, { before: { ran: false, saving: true, settings } });
    await scene.adoptions.stopped.letRunOn();
    expect(monitor.commands).not.toContain('cont');
    expect(scene.sessions.get(session).machine).toMatchObject({ suspended: false, before: null });
  });

  it.each([
    ['runs on if the agent has saved it', true],
    ['does not run here too if somebody else has migrated it away', false],
  ] as const)('in the state postmigrate %s', async (_what, saving) => {
    const away = value({ status: 'postmigrate', running: false });
    const [, session] = await stopped({ 'query-status': away, cont: runs });
    const settings = { capabilities: {}, parameters: {} };
    scene.adoptions.stopped.mark(session, { before: { ran: true, saving, settings } });
    await scene.adoptions.stopped.letRunOn();
    expect(monitor.commands.includes('cont')).toBe(saving);
  });

  it.each(['io-error', 'guest-panicked', 'shutdown'])(
    'is not told to run if something else has stopped it: %s',
    async (status) => {
      const [, session] = await stopped({ 'query-status': value({ status, running: false }), cont: runs });
      await scene.adoptions.stopped.letRunOn();
      expect(monitor.commands).not.toContain('cont');
      expect(scene.sessions.get(session).machine?.suspended).toBe(false);
    },
  );

  it.each([true, false])(
    'has its migration settings put back by the agent that finds them noted; it was stopped: %s',
    async (suspended) => {
      const vmm = await startFakeVmm({
        running: !suspended,
        settings: { parameters: { mode: 'cpr-transfer' } },
      });
      const one = await scene.startVmm('one', [scene.memfd('ram')], vmm.path);
      const session = await scene.adopt(one);
      const settings = { capabilities: { xbzrle: true }, parameters: { mode: 'normal' } };
      scene.adoptions.stopped.mark(session, { suspended, before: { ran: true, saving: true, settings } });
      await scene.adoptions.stopped.letRunOn();
      expect(vmm.running).toBe(true);
      expect(vmm.commands.includes('cont')).toBe(suspended);
      expect(vmm.settings).toMatchObject(settings);
      expect(scene.sessions.get(session).machine).toMatchObject({ suspended: false, before: null });
    },
  );

  it('that runs, and that somebody migrates away before its settings are put back, does not run here too', async () => {
    const away = value({ status: 'postmigrate', running: false });
    const [, session] = await stopped({ 'query-status': away, cont: runs });
    const settings = { capabilities: {}, parameters: {} };
    scene.adoptions.stopped.mark(session, {
      suspended: false,
      before: { ran: true, saving: false, settings },
    });
    await scene.adoptions.stopped.letRunOn();
    expect(monitor.commands).not.toContain('cont');
  });

  it('that is found running, and that somebody migrates away before its settings are put back, does not run here too', async () => {
    let [status, refuses] = ['running', true];
    const [, session] = await stopped({
      'query-status': (socket, id) => value({ status, running: status === 'running' })(socket, id),
      'query-migrate': (socket, id) => value({ status: 'active' })(socket, id),
      'migrate-set-parameters': (socket, id) =>
        (refuses ? refusal("There's a migration process in progress") : value({}))(socket, id),
      cont: runs,
    });
    const settings = { capabilities: {}, parameters: { mode: 'normal' } };
    const { stopped: machines } = scene.adoptions;
    // The agent died while it had QEMU hand its descriptors over.
    machines.mark(session, { suspended: false, before: { ran: true, saving: true, settings } });
    await machines.letRunOn();
    expect(scene.sessions.get(session).machine).toMatchObject({ before: { saving: false } });
    [status, refuses] = ['postmigrate', false];
    await machines.letRunOn();
    expect(monitor.commands).not.toContain('cont');
    expect(scene.sessions.get(session).machine).toMatchObject({ suspended: false, before: null });
  });

  it('whose settings cannot be put back is tried again without end, with growing pauses: its monitor is its owner’s', async () => {
    let refuses = true;
    const put: Answer = (socket, id) => (refuses ? refusal('not now') : value({}))(socket, id);
    const [, session] = await stopped({ ...paused, cont: runs, 'migrate-set-capabilities': put });
    const settings = { capabilities: { events: false }, parameters: {} };
    const before = { ran: true, saving: true, settings };
    const { stopped: machines } = scene.adoptions;
    machines.mark(session, { before });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const tries = (): number =>
      scene.logged.filter((each) => each === 'the migration settings of a machine are not as before yet')
        .length;
    const told = vi.fn();
    scene.sessions.events.on('changed', told);
    await machines.letRunOn();
    // What is saved from now on somebody else saves.
    const since = { ...before, saving: false };
    expect(scene.sessions.get(session).machine).toMatchObject({ suspended: false, before: since });
    expect(machines.notAsBefore).toMatchObject([{ session }]);
    const pausesMs = [2000, 5000, 15_000, 30_000, ...Array.from({ length: 20 }, () => 60_000)];
    for (const [index, pauseMs] of pausesMs.entries()) {
      vi.advanceTimersByTime(pauseMs - 1);
      await setImmediate();
      expect(tries()).toBe(1 + index);
      vi.advanceTimersByTime(1);
      while (tries() < 2 + index) await setImmediate();
      await setImmediate();
    }
    // That it runs, and that it is not as before: not each time anew.
    expect(told).toHaveBeenCalledTimes(2);
    refuses = false;
    vi.advanceTimersByTime(60_000);
    vi.useRealTimers();
    await vi.waitFor(() => expect(scene.sessions.get(session).machine?.before).toBeNull());
    await vi.waitFor(() => expect(machines.notAsBefore).toEqual([]));
  });

  it('may have a mark of an earlier agent, which says nothing of before', () => {
    const head = v.parse(MachineHead, {
      ...{ name: 'one', definition: null, definitionText: null, way: 'cpr', pid: 7, startTime: '1' },
      ...{ bootId: 'this', monitor: '/run/q', unlinked: [], suspended: true },
      command: { program: '/usr/bin/qemu', words: [], directory: '/', uid: 0, gid: 0 },
    });
    expect(head).toMatchObject({ suspended: true, before: null });
  });

  it('is not told to run if it runs already', async () => {
    const [, session] = await stopped({ 'query-status': value({ status: 'running', running: true }) });
    await scene.adoptions.stopped.letRunOn();
    expect(monitor.commands).not.toContain('cont');
    expect(scene.sessions.get(session).machine?.suspended).toBe(false);
  });

  it.each([
    { how: 'again and again', underWay: false },
    { how: 'once no update is under way any more', underWay: true },
  ])('is tried $how if its monitor refuses', async ({ underWay }) => {
    let refusing = true;
    const refused = JSON.stringify({ error: { class: 'GenericError', desc: 'not now' } });
    const [, session] = await stopped({
      ...paused,
      cont: (socket, id) => (refusing ? socket.write(`${refused}\n`) : runs(socket, id)),
    });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    await scene.adoptions.stopped.letRunOn();
    expect(scene.sessions.get(session).machine?.suspended).toBe(true);
    refusing = false;
    scene.mayLetRunOn = !underWay;
    const tries = monitor.connections();
    vi.advanceTimersByTime(2000);
    if (underWay) {
      await setImmediate();
      expect(monitor.connections()).toBe(tries);
      scene.mayLetRunOn = true;
      vi.advanceTimersByTime(2000);
    }
    vi.useRealTimers();
    await vi.waitFor(() => expect(scene.sessions.get(session).machine?.suspended).toBe(false));
  });

  it('is not asked for of another process that listens in place of its VMM', async () => {
    const [, session] = await stopped({ ...paused, cont: runs });
    scene.peers.set(monitor.path, 1);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    await scene.adoptions.stopped.letRunOn();
    expect(monitor.commands).toEqual([]);
    expect(scene.sessions.get(session).machine?.suspended).toBe(true);
  });

  it('and whose VMM has ended has no session any more once the next agent watches its machines', async () => {
    const [one, session] = await stopped(paused);
    await end(one);
    await scene.adoptions.stopped.letRunOn();
    await scene.adoptions.takeOver();
    expect(scene.sessions.has(session)).toBe(false);
  });
});

describe('a machine whose memory has a name', () => {
  it('loses it only if that was allowed, and has a link in its place when it is released', async () => {
    const path = join(scene.directory, 'ram');
    writeFileSync(path, 'ram');
    const opened = openSync(path, 'r+');
    const file = scene.native.descriptors.duplicate(opened);
    const one = await scene.startVmm('one', [file], '/nowhere', opened);
    closeSync(opened);
    const pid = one.pid ?? 0;
    const found = scene.machines.get(pid);
    if (!found) throw new Error('the machine is not known');
    const [memory] = found.machine.descriptors;
    const named = memory ? [{ ...memory, name: path }] : [];
    scene.machines.set(pid, { ...found, machine: { ...found.machine, unlinks: [path], descriptors: named } });
    await expect(scene.adopt(one)).rejects.toMatchObject({ refusal: 'MachineUnusable' });
    expect(lstatSync(path).isFile()).toBe(true);
    await scene.adoptions.adopt(pid, { ...plain, unlink: true }, agentItself);
    expect(existsSync(path)).toBe(false);
    await scene.adoptions.release(pid, agentItself);
    expect(readlinkSync(path)).toBe(`/proc/${pid}/fd/3`);
  });
});
