// SPDX-License-Identifier: Apache-2.0
/** Aborting an update in each phase (`src/update/record/phases.ts`), and what a full disk does to that. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import { type Disk, fillable } from '../src/journal/full-disk.fixture.ts';
import { SessionStore } from '../src/liveupdate/sessions.ts';
import { SlotFile } from '../src/liveupdate/slots.ts';
import { type Answer, refusal, value } from '../src/qemu/fake-qmp.fixture.ts';
import { OutgoingIndex } from '../src/update/record/index-session.ts';
import { MadeUpHost } from './made-up-host.ts';
import { type MadeUpVmm, MadeUpVmms } from './made-up-vmms.ts';
import { contentOf, entriesOf, planOf, preserveText, runToKexec, startSettled } from './scenario.ts';

let host: MadeUpHost;
let vmms: MadeUpVmms;
let client: AgentClient;
let disk: Disk;

beforeEach(async () => {
  disk = { full: false };
  fillable(disk);
  host = new MadeUpHost();
  vmms = new MadeUpVmms(host);
  client = await host.start();
  await client.call('CreateSession', { name: 's' });
  await preserveText(client, 's', 'kept');
});

afterEach(async () => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  await vmms.endAll();
  host.dispose();
});

/** Something that is held until it is let go; `begun` resolves when it is reached. */
function gate(): { pass: () => Promise<void>; begun: Promise<void>; open: () => void } {
  const reached = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  const pass = (): Promise<void> => {
    reached.resolve();
    return opened.promise;
  };
  return { pass, begun: reached.promise, open: opened.resolve };
}

const phase = async (): Promise<string> => (await client.call('GetStatus', {})).status.phase;

/** What is left after any of them: the host as it was, ready for an update. */
async function expectAsBefore(): Promise<void> {
  expect(await phase()).toBe('normal');
  expect(host.loaded).toBeNull();
  expect(await contentOf(client, 's', '0x0')).toBe('kept');
  expect((await planOf(host, client)).runnable).toBe(true);
}

const full = {
  error: 'io.luoconsole.Agent.KernelCallFailed',
  parameters: { call: 'journal', errno: 'ENOSPC' },
};

describe('an abort', () => {
  it('in phase preserving takes effect at once, and a kernel that is loaded late is dropped', async () => {
    const loading = gate();
    host.load = loading.pass;
    const running = runToKexec(host, client, { wait: 'settled' });
    await loading.begun;
    expect(await phase()).toBe('preserving');
    const { update } = await client.call('AbortUpdate', { reason: 'changed my mind' });
    expect(update).toMatchObject({ id: await running, outcome: 'aborted', reason: 'changed my mind' });
    loading.open();
    await vi.waitFor(() => expect(host.log.join('\n')).toContain('what was left behind has ended'));
    await expectAsBefore();
  });

  it('in phase prepared takes effect at once, and an index that is created late is closed', async () => {
    const creating = gate();
    const { createSession } = host.double;
    vi.spyOn(host.double, 'preserveFd').mockImplementationOnce(async () => await creating.pass());
    const running = runToKexec(host, client, { wait: 'settled' });
    await creating.begun;
    expect(await phase()).toBe('prepared');
    const { update } = await client.call('AbortUpdate', {});
    expect(update).toMatchObject({ id: await running, outcome: 'aborted' });
    creating.open();
    await vi.waitFor(() => expect(host.log.join('\n')).toContain('what was left behind has ended'));
    using device = host.double.openDevice(host.paths.device);
    createSession.call(host.double, device, 'luo-console').close();
    device.close();
    await expectAsBefore();
  });

  it('in phase suspending lets machines run on that are stopped and saved', async () => {
    const vmm = await vmms.start('one', 'named_memory');
    await client.call('AdoptMachine', { pid: vmm.pid });
    const attending = client.stream('AttendSession', { name: 's' });
    await attending.next();
    const running = runToKexec(host, client, { wait: 'settled' });
    await attending.next();
    await vi.waitFor(async () => {
      const { progress } = (await client.call('GetStatus', {})).status;
      expect(progress).toMatchObject({ phase: 'suspending', machines: [{ stage: 'saved' }] });
    });
    expect(vmm.guest.running).toBe(false);
    const { update } = await client.call('AbortUpdate', {});
    expect(update).toMatchObject({ id: await running, outcome: 'aborted', machines: [{ stage: 'running' }] });
    expect(vmm.guest.running).toBe(true);
    expect((await attending.next()).value).toMatchObject({ still: false });
    await attending.return();
    await expectAsBefore();
  });

  it('gives the host back to whoever wants to shut it down, which was not possible since *prepared*', async () => {
    const creating = gate();
    vi.spyOn(host.double, 'preserveFd').mockImplementationOnce(async () => await creating.pass());
    const running = runToKexec(host, client, { graceSeconds: 600, wait: 'settled' });
    await creating.begun;
    expect(await phase()).toBe('prepared');
    expect(host.heldOff).toEqual([true]);
    const aborting = client.call('AbortUpdate', {});
    creating.open();
    await Promise.all([aborting, running]);
    expect(host.heldOff).toEqual([true, false]);
  });

  it('ends the wait for a file system that does not answer, before any machine is stopped', async () => {
    const vmm = await vmms.start('one', 'named_memory');
    await client.call('AdoptMachine', { pid: vmm.pid });
    const syncing = gate();
    host.sync = syncing.pass;
    const running = runToKexec(host, client, { wait: 'settled' });
    await syncing.begun;
    const { update } = await client.call('AbortUpdate', { reason: 'the disk is gone' });
    expect(update).toMatchObject({ id: await running, outcome: 'aborted', reason: 'the disk is gone' });
    expect(vmm.guest.commands).not.toContain('stop');
    await expectAsBefore();
    syncing.open();
  });

  it('in the next kernel is refused: there is nothing to abort any more', async () => {
    const id = await runToKexec(host, client);
    host.becomeNextKernel();
    const finishing = gate();
    const { finish } = host.double;
    vi.spyOn(host.double, 'finish').mockImplementationOnce(async (session) => {
      await finishing.pass();
      await finish.call(host.double, session);
    });
    client = await host.start();
    await finishing.begun;
    expect(await phase()).toBe('finishing');
    await expect(client.call('AbortUpdate', {})).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.NothingToAbort',
      parameters: { phase: 'finishing' },
    });
    finishing.open();
    await host.agent?.settled;
    expect((await client.call('GetUpdate', { id })).update.outcome).toBe('updated');
  });

  it('is done while the disk is full, which is said, and is written once there is room', async () => {
    const vmm = await vmms.start('one', 'named_memory');
    await client.call('AdoptMachine', { pid: vmm.pid });
    const id = await runToKexec(host, client, { graceSeconds: 600, wait: 'announced' });
    disk.full = true;
    await expect(client.call('AbortUpdate', { reason: 'changed my mind' })).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.DoneNotRecorded',
      parameters: { method: 'AbortUpdate', reason: 'database or disk is full' },
    });
    expect(vmm.guest.commands).not.toContain('stop');
    expect(await phase()).toBe('normal');
    expect(host.loaded).toBeNull();
    const aborted = { outcome: 'aborted', reason: 'changed my mind' };
    expect((await client.call('GetUpdate', { id })).update).toMatchObject(aborted);
    expect(await entriesOf(client, 'update.abort', id)).toEqual([]);
    expect(host.log.join('\n')).toContain(
      'not written to the journal {"what":"update.abort done","why":"database or disk is full"}',
    );
    disk.full = false;
    await expectAsBefore();
    expect(await entriesOf(client, 'update.abort', id)).toMatchObject([{ ok: null }, { ok: true }]);
    expect(await client.call('VerifyJournal', {})).toMatchObject({ firstBad: null });
  });

  it('leaves alone a kernel that somebody has loaded since, when it tries again', async () => {
    const id = await runToKexec(host, client, { graceSeconds: 600, wait: 'announced' });
    host.unload = () => Promise.reject(new Error('not now'));
    await client.call('AbortUpdate', {});
    const path = `${host.paths.boot}/vmlinuz-7.3.4-b`;
    const { loaded } = await client.call('LoadKernel', { path, initrd: null, commandLine: 'theirs' });
    expect((await client.call('AbortUpdate', {})).update.id).toBe(id);
    expect((await client.call('GetStatus', {})).status.loadedKernel).toEqual(loaded);
    expect(host.loaded).toEqual({ commandLine: 'theirs' });
  });

  it('lets machines run on though the kernel does not close the index, and does not wait for that without end', async () => {
    let refusals = 3;
    const vmm: MadeUpVmm = await vmms.start('one', 'named_memory', {
      // As a VMM does that is silent while the update lets it run on.
      cont: (socket, id) => {
        refusals -= 1;
        if (refusals >= 0) return refusal('not now')(socket, id);
        vmm.guest.goOn();
        value({})(socket, id);
      },
    });
    await client.call('AdoptMachine', { pid: vmm.pid });
    const closing = gate();
    const { close } = OutgoingIndex.prototype;
    vi.spyOn(OutgoingIndex.prototype, 'close').mockImplementation(async function (this: OutgoingIndex) {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      await closing.pass();
      await close.call(this);
    });
    host.kexec = 'refused';
    const running = runToKexec(host, client, { wait: 'settled' });
    await closing.begun;
    expect(refusals).toBeLessThan(0);
    expect(vmm.guest.running).toBe(true);
    vi.advanceTimersByTime(10_000);
    vi.useRealTimers();
    const { update } = await client.call('GetUpdate', { id: await running });
    expect(update.reason).toMatch(/undoing create-index: it was not done in time, and goes on/);
    expect(await phase()).toBe('normal');
    expect(host.loaded).toBeNull();
    closing.open();
    await vi.waitFor(async () =>
      expect(await client.call('AbortUpdate', {}).catch(({ error }) => error)).toMatch(/NothingToAbort/),
    );
    await expectAsBefore();
  });

  it('does not wait without end for the session of a machine that has ended meanwhile', async () => {
    const [one, other] = [await vmms.start('one', 'named_memory'), await vmms.start('two', 'named_memory')];
    for (const { pid } of [one, other]) await client.call('AdoptMachine', { pid });
    host.kexec = 'refused';
    host.reboot = async () => {
      await vmms.end(one);
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    };
    const closing = gate();
    vi.spyOn(SessionStore.prototype, 'close').mockImplementation(closing.pass);
    const running = runToKexec(host, client, { wait: 'settled' });
    await closing.begun;
    expect(other.guest.running).toBe(true);
    vi.advanceTimersByTime(10_000);
    vi.useRealTimers();
    expect((await client.call('GetUpdate', { id: await running })).update.outcome).toBe('returned');
    expect(await phase()).toBe('normal');
    expect(host.log.join('\n')).toContain('not every machine is watched');
    closing.open();
  });

  it('tries again what could not be undone, and says if it still cannot be', async () => {
    await runToKexec(host, client, { graceSeconds: 600, wait: 'announced' });
    let stays = true;
    const stuck = Object.assign(new Error('kexec_file_load: EBUSY'), {
      ...{ code: 'EBUSY', errno: 16, syscall: 'kexec_file_load' },
    });
    host.unload = async () => {
      if (stays) throw stuck;
    };
    const { update } = await client.call('AbortUpdate', {});
    expect(update.reason).toContain('undoing load-kernel: ');
    expect(await phase()).toBe('normal');
    await expect(client.call('AbortUpdate', {})).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.KernelCallFailed',
      parameters: { call: 'undo', argument: 'load-kernel' },
    });
    // Nothing else begins on top of it.
    const plan = await planOf(host, client);
    await expect(client.stream('RunUpdate', { plan: plan.id }).next()).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.PlanNotRunnable',
      parameters: { reason: expect.stringContaining('the update before is not undone') },
    });
    stays = false;
    expect((await client.call('AbortUpdate', {})).update).toMatchObject({ id: update.id });
    await expect(client.call('AbortUpdate', {})).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.NothingToAbort',
    });
    await expectAsBefore();
  });
});

describe('an agent that is told to end', () => {
  const end = async (): Promise<void> => await host.agent?.leaveNone('the agent was told to end (SIGTERM)');

  it('in the grace aborts the update first', async () => {
    const vmm = await vmms.start('one', 'named_memory');
    await client.call('AdoptMachine', { pid: vmm.pid });
    const id = await runToKexec(host, client, { graceSeconds: 600, wait: 'announced' });
    await end();
    const ended = { outcome: 'aborted', reason: 'the agent was told to end (SIGTERM)' };
    expect((await client.call('GetUpdate', { id })).update).toMatchObject(ended);
    expect(vmm.guest.commands).not.toContain('stop');
    await expectAsBefore();
    const plan = await planOf(host, client);
    await expect(client.stream('RunUpdate', { plan: plan.id }).next()).rejects.toMatchObject({
      parameters: { needed: 'an agent that is not stopping' },
    });
  });

  it('with machines stopped lets them run on first, and asks the service manager for the time', async () => {
    const vmm = await vmms.start('one', 'named_memory');
    await client.call('AdoptMachine', { pid: vmm.pid });
    const attending = client.stream('AttendSession', { name: 's' });
    await attending.next();
    const running = runToKexec(host, client, { wait: 'settled' });
    await attending.next();
    await vi.waitFor(() => expect(vmm.guest.running).toBe(false));
    await end();
    expect(vmm.guest.running).toBe(true);
    expect(host.manager.messages).toContainEqual(
      expect.stringMatching(/^STOPPING=1\nEXTEND_TIMEOUT_USEC=\d+$/),
    );
    await attending.return();
    expect((await client.call('GetUpdate', { id: await running })).update.outcome).toBe('aborted');
    await expectAsBefore();
  });

  it.each([
    ['runs', async ({ guest }: MadeUpVmm) => guest.becomes('running')],
    ['has ended', async (vmm: MadeUpVmm) => await vmms.end(vmm)],
  ] as const)('does not end before a machine whose VMM does not let it run on %s', async (_how, comeTrue) => {
    const vmm = await vmms.start('one', 'named_memory', { cont: refusal('not today') });
    await client.call('AdoptMachine', { pid: vmm.pid });
    host.kexec = 'refused';
    await runToKexec(host, client, { wait: 'settled' });
    expect(vmm.guest.running).toBe(false);
    let hasEnded = false;
    const ending = end().then(() => {
      hasEnded = true;
    });
    const tries = () => host.log.filter((line) => line.includes('the agent does not end before they run'));
    await vi.waitFor(() => expect(tries()).toHaveLength(2), { timeout: 10_000 });
    expect(hasEnded).toBe(false);
    expect(tries()[0]).toContain('"stopped":["machine:one"]');
    expect(host.manager.messages).toContain(
      'STATUS=stopping; waits for machines that do not run yet: machine:one',
    );
    await comeTrue(vmm);
    await ending;
  });

  it('because a new version was installed is told so once the update is over', async () => {
    const wanted = join(host.paths.runtime, 'restart-wanted');
    const told = vi.fn();
    host.restart = told;
    mkdirSync(host.paths.runtime, { recursive: true });
    host.kill();
    writeFileSync(wanted, '');
    client = await startSettled(host);
    // One that starts is the new version.
    expect(existsSync(wanted)).toBe(false);
    await runToKexec(host, client, { graceSeconds: 600, wait: 'announced' });
    writeFileSync(wanted, '');
    expect(told).not.toHaveBeenCalled();
    expect((await client.call('AbortUpdate', {})).update.outcome).toBe('aborted');
    await vi.waitFor(() => expect(told).toHaveBeenCalledOnce());
  });

  it('while the reboot call is made waits for it, and lets machines run on if it comes back', async () => {
    const vmm = await vmms.start('one', 'named_memory');
    await client.call('AdoptMachine', { pid: vmm.pid });
    const rebooting = gate();
    host.kexec = 'refused';
    host.reboot = rebooting.pass;
    const running = runToKexec(host, client, { wait: 'settled' });
    await rebooting.begun;
    let hasEnded = false;
    const ending = end().then(() => {
      hasEnded = true;
    });
    expect(await phase()).toBe('kexec');
    expect(hasEnded).toBe(false);
    expect(vmm.guest.running).toBe(false);
    rebooting.open();
    await ending;
    expect(vmm.guest.running).toBe(true);
    expect((await client.call('GetUpdate', { id: await running })).update.outcome).toBe('returned');
  });
});

describe('an update whose record has no room in the index', () => {
  /** From now on, as if the index were that small. */
  const shrink = (): void => void vi.spyOn(SlotFile.prototype, 'capacity', 'get').mockReturnValueOnce(100);

  it.each([
    ['once the machines are ready', 'prepared'],
    ['once the descriptors are handed over', 'suspending'],
  ] as const)('ends before the machines are stopped, %s', async (_when, last) => {
    let isReady = false;
    const ready: Answer = (socket, id) => {
      // They are put back too.
      if (last === 'prepared' && !isReady) shrink();
      isReady = true;
      value({})(socket, id);
    };
    const vmm = await vmms.start('one', 'named_memory', { 'migrate-set-parameters': ready });
    await client.call('AdoptMachine', { pid: vmm.pid });
    host.sync = async () => {
      if (last === 'suspending') shrink();
    };
    const id = await runToKexec(host, client, { wait: 'settled' });
    const { update } = await client.call('GetUpdate', { id });
    expect(update).toMatchObject({
      outcome: 'aborted',
      reason: expect.stringMatching(
        /what the next kernel's agent must know takes up to \d+ bytes, and the index has room for 100$/,
      ),
    });
    expect(update.phases.at(-1)?.phase).toBe(last);
    expect(vmm.guest.commands).not.toContain('stop');
    expect(vmm.guest.running).toBe(true);
    await expectAsBefore();
  });
});

describe('an update whose last sync fails', () => {
  it('lets the machines run on, and says which file system it was', async () => {
    vmms.withDisk = true;
    const vmm = await vmms.start('one', 'named_memory');
    await client.call('AdoptMachine', { pid: vmm.pid });
    host.syncPlace = async () => {
      if (!vmm.guest.running) throw new Error('EIO');
    };
    const id = await runToKexec(host, client, { wait: 'settled' });
    const { update } = await client.call('GetUpdate', { id });
    expect(update).toMatchObject({
      ...{ outcome: 'aborted', refusedBy: null, machines: [{ stage: 'running' }] },
      reason: expect.stringMatching(
        /^the file system \S+ at \/\S* could not be synced: EIO; the file system of \S+ could not be synced: EIO$/,
      ),
    });
    expect(vmm.guest.running).toBe(true);
    await expectAsBefore();
  });
});

describe('an update whose disk is full', () => {
  it('before it begins is not begun', async () => {
    const plan = await planOf(host, client);
    disk.full = true;
    await expect(client.stream('RunUpdate', { plan: plan.id }).next()).rejects.toMatchObject(full);
    disk.full = false;
    await expectAsBefore();
  });

  it('after its announcement ends before the machines are stopped', async () => {
    const vmm = await vmms.start('one', 'named_memory');
    await client.call('AdoptMachine', { pid: vmm.pid });
    host.sync = async () => {
      disk.full = true;
    };
    await runToKexec(host, client, { wait: 'settled' });
    expect(vmm.guest.commands).toContain('migrate-set-parameters');
    expect(vmm.guest.commands).not.toContain('stop');
    expect(host.log.join('\n')).toContain('the journal cannot be written: database or disk is full');
    disk.full = false;
    expect((await client.call('ListUpdates', {})).updates).toMatchObject([{ outcome: 'aborted' }]);
    expect(vmm.guest.running).toBe(true);
    expect(host.loaded).toBeNull();
  });

  describe('when the kernel refuses', () => {
    const refused = async (): Promise<string> => {
      vmms.withDisk = true;
      const vmm = await vmms.start('one', 'named_memory');
      await client.call('AdoptMachine', { pid: vmm.pid });
      host.kexec = 'refused';
      host.syncPlace = async () => {
        disk.full = !vmm.guest.running;
      };
      const id = await runToKexec(host, client, { wait: 'settled' });
      expect(vmm.guest.running).toBe(true);
      expect(await phase()).toBe('normal');
      expect((await client.call('GetUpdate', { id })).update.outcome).toBe('returned');
      return id;
    };

    it('lets the machines run on, and is written once there is room', async () => {
      const id = await refused();
      disk.full = false;
      await expectAsBefore();
      host.kill();
      client = await startSettled(host);
      expect((await client.call('GetUpdate', { id })).update.outcome).toBe('returned');
    });

    it('and the agent dies before there is room is settled by the next agent', async () => {
      const id = await refused();
      host.kill();
      disk.full = false;
      client = await startSettled(host);
      expect((await client.call('GetUpdate', { id })).update.outcome).toBe('aborted');
      await expectAsBefore();
    });
  });

  it('and whose agent has died is undone and settled by the next one, which writes that once there is room', async () => {
    const vmm = await vmms.start('one', 'named_memory');
    await client.call('AdoptMachine', { pid: vmm.pid });
    const id = await runToKexec(host, client);
    expect(vmm.guest.running).toBe(false);
    host.kill();
    disk.full = true;
    client = await startSettled(host);
    expect(vmm.guest.running).toBe(true);
    expect(host.loaded).toBeNull();
    expect((await client.call('GetUpdate', { id })).update.outcome).toBe('aborted');
    disk.full = false;
    await expectAsBefore();
    expect(await entriesOf(client, 'update.settled', id)).toHaveLength(1);
  });

  it('in the next kernel still brings everything back, and is settled once there is room', async () => {
    const vmm = await vmms.start('one', 'named_memory');
    await client.call('AdoptMachine', { pid: vmm.pid });
    const id = await runToKexec(host, client);
    host.becomeNextKernel();
    await vmms.endAll();
    disk.full = true;
    client = await startSettled(host);
    expect(await phase()).toBe('normal');
    const { sessions } = await client.call('ListSessions', {});
    expect(sessions.map(({ name, descriptors }) => [name, descriptors.length])).toEqual([
      ['machine:one', 1],
      ['s', 1],
    ]);
    const { machines } = await client.call('ListMachines', {});
    expect(machines).toMatchObject([{ name: 'one', session: 'machine:one' }]);
    disk.full = false;
    host.kill();
    client = await startSettled(host);
    expect((await client.call('GetUpdate', { id })).update.outcome).toBe('updated');
    await expectAsBefore();
  });
});
