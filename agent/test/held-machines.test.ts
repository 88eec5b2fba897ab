// SPDX-License-Identifier: Apache-2.0
/** What becomes of a machine that an update could not start again: tried once more, carried on, or given up. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import type { HeldMachine, Update } from '../src/interface/agent.generated.ts';
import { SessionStore } from '../src/liveupdate/sessions.ts';
import { type Answer, value } from '../src/qemu/fake-qmp.fixture.ts';
import { MadeUpHost } from './made-up-host.ts';
import { type CarriedWay, type MadeUpVmm, MadeUpVmms } from './made-up-vmms.ts';
import { entriesOf, planOf, preserveText, runToKexec, startSettled } from './scenario.ts';

let host: MadeUpHost;
let vmms: MadeUpVmms;
let client: AgentClient;

beforeEach(async () => {
  host = new MadeUpHost();
  vmms = new MadeUpVmms(host);
  client = await host.start();
});

afterEach(async () => {
  vi.restoreAllMocks();
  await vmms.endAll();
  host.dispose();
});

/** A kexec, and the settled update that the agent of the next kernel tells of. */
async function update(): Promise<Update> {
  await runToKexec(host, client);
  host.becomeNextKernel();
  await vmms.endAll();
  client = await startSettled(host);
  const [newest] = (await client.call('ListUpdates', {})).updates;
  if (!newest) throw new Error(`no update was settled: ${host.log.join('\n')}`);
  return newest;
}

/** A machine that is held, because its VMM ended at every attempt, or did not do as it was told. */
async function held(
  way: CarriedWay = 'named_memory',
  answers: Record<string, Answer> = {},
  failing = true,
): Promise<MadeUpVmm> {
  const vmm = await vmms.start('one', way, answers);
  await client.call('AdoptMachine', { pid: vmm.pid });
  if (failing) vmms.failing.add('one');
  expect((await update()).machines).toMatchObject([{ stage: 'held' }]);
  return vmm;
}

/** A process on the made-up host that has a file open until it is ended, at the latest once the test has finished. */
async function opened(path: string, how: '<' | '>>') {
  const child = spawn('sh', ['-c', `exec 4${how}"$0"; echo; read line`, path]);
  const { pid = 0 } = child;
  await once(child.stdout, 'data');
  symlinkSync(`/proc/${pid}`, join(host.paths.proc, String(pid)));
  const end = async (): Promise<void> => {
    rmSync(join(host.paths.proc, String(pid)), { force: true });
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL'))
      await once(child, 'exit');
  };
  onTestFinished(end);
  return { pid, end };
}

const list = async (): Promise<HeldMachine[]> => (await client.call('ListHeldMachines', {})).machines;
const retry = () => client.call('RetryMachine', { session: 'machine:one' });
const labels = async (): Promise<string[]> =>
  (await client.call('GetSession', { name: 'machine:one' })).session.descriptors.map(({ label }) => label);

it('a machine that runs keeps nothing of a state that it must never be loaded with again', async () => {
  const vmm = await vmms.start('one', 'named_memory');
  await client.call('AdoptMachine', { pid: vmm.pid });
  const before = await labels();
  // As an agent leaves it that dies while it keeps a machine, which the next agent then brings back from the index.
  for (const label of ['record', 'state'])
    await preserveText(client, 'machine:one', `${label} of a machine that does not run`);
  host.kill();
  client = await startSettled(host);
  expect(await labels()).toEqual(before);
  expect(vmm.guest.running).toBe(true);
});

describe('a held machine', () => {
  it.each<CarriedWay>(['cpr', 'named_memory', 'whole_state'])(
    'goes on when it is tried again: %s',
    async (way) => {
      const vmm = await held(way);
      expect(await list()).toMatchObject([{ session: 'machine:one', name: 'one', way, problem: null }]);
      await expect(retry()).rejects.toMatchObject({
        error: 'io.luoconsole.Agent.MachineUnusable',
        parameters: { name: 'one', reason: 'its VMM ended at once' },
      });
      expect(await list()).toHaveLength(1);

      vmms.failing.delete('one');
      const { machine } = await retry();
      expect(machine).toMatchObject({ pid: vmm.pid, session: 'machine:one' });
      expect(vmm.guest).toMatchObject({ running: true, loaded: expect.stringContaining('device state') });
      expect(await list()).toEqual([]);
      expect((await labels()).filter((label) => label.includes('does not run'))).toEqual([]);
      await expect(retry()).rejects.toMatchObject({
        parameters: { reason: 'session "machine:one" has no machine that is held' },
      });
      // From now on it is a machine like any other.
      const next = await update();
      expect(next.machines, next.reason).toMatchObject([{ stage: 'resumed', newPid: vmm.pid }]);
      expect(vmm.guest.running).toBe(true);
    },
  );

  it('lives through a restart of the agent and a further update, and goes on then', async () => {
    const vmm = await held();
    host.kill();
    client = await startSettled(host);
    expect(await list()).toMatchObject([{ problem: null }]);
    const next = await update();
    expect(next.outcome, next.reason).toBe('updated');
    expect(next.machines).toEqual([]);
    expect(await list()).toMatchObject([{ session: 'machine:one', problem: null }]);
    vmms.failing.delete('one');
    await retry();
    expect(vmm.guest).toMatchObject({ running: true, loaded: 'device state' });
  });

  it('is kept anew, and nothing of before is used, if a later update cannot start it', async () => {
    const vmm = await held();
    vmms.failing.delete('one');
    await retry();
    vmms.failing.add('one');
    expect((await update()).machines).toMatchObject([{ stage: 'held' }]);
    expect(await labels()).toHaveLength(3);
    expect(await list()).toMatchObject([{ problem: null }]);
    vmms.failing.delete('one');
    await retry();
    expect(vmm.guest.running).toBe(true);
  });

  it.each<CarriedWay>(['whole_state', 'named_memory'])(
    'that runs again is left alone by later starts, though the index is kept for another: %s',
    async (way) => {
      const [one, two] = [await vmms.start('one', way), await vmms.start('two', 'named_memory')];
      for (const { pid } of [one, two]) await client.call('AdoptMachine', { pid });
      for (const name of ['one', 'two']) vmms.failing.add(name);
      await runToKexec(host, client);
      const { preserve } = SessionStore.prototype;
      vi.spyOn(SessionStore.prototype, 'preserve').mockImplementation(async function failing(
        this: SessionStore,
        ...given
      ) {
        if (given[0] === 'machine:two') throw new Error('no memory');
        return await preserve.apply(this, given);
      });
      host.becomeNextKernel();
      await vmms.endAll();
      client = await startSettled(host);
      expect((await list()).map(({ name }) => name)).toEqual(['one']);
      vmms.failing.clear();
      const { machine } = await retry();

      // Once more without success, then with: neither may touch the machine that runs.
      for (const healed of [false, true]) {
        if (healed) vi.restoreAllMocks();
        host.kill();
        client = await startSettled(host);
        expect(one.pid).toBe(machine.pid);
        expect(one.guest.running).toBe(true);
        expect((await labels()).filter((label) => label.includes('does not run'))).toEqual([]);
        expect((await client.call('GetMachine', { pid: machine.pid })).machine.session).toBe('machine:one');
      }
      expect(await list()).toMatchObject([{ name: 'two', problem: null }]);
      await client.call('RetryMachine', { session: 'machine:two' });
      expect(two.guest).toMatchObject({ running: true, loaded: 'device state' });
    },
  );

  it('is not tried again while an update is under way, and none begins meanwhile', async () => {
    await held();
    vmms.failing.delete('one');
    const { starter } = host;
    if (!starter) throw new Error('the host has no service manager');
    let goOn = (): void => {};
    const starting = new Promise<void>((resolve) => {
      vi.spyOn(starter, 'resume').mockImplementationOnce(async () => {
        resolve();
        await new Promise<void>((later) => {
          goOn = later;
        });
        throw new Error('it does not start');
      });
    });
    const plan = await planOf(host, client);
    const failed = retry().catch((error: unknown) => error);
    await starting;
    const running = client.stream('RunUpdate', { plan: plan.id, graceSeconds: 0 });
    await expect(running.next()).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.WrongPhase',
      parameters: { needed: 'no held machine being started' },
    });
    goOn();
    expect(await failed).toMatchObject({ parameters: { reason: 'it does not start' } });
    await runToKexec(host, client);
    await expect(retry()).rejects.toMatchObject({ error: 'io.luoconsole.Agent.WrongPhase' });
  });

  it('whose guest may have run is never loaded again', async () => {
    const refuse: Answer = (socket, id) =>
      void socket.write(`${JSON.stringify({ id, error: { class: 'GenericError', desc: 'not today' } })}\n`);
    await held('named_memory', { cont: refuse }, false);
    expect(await list()).toMatchObject([{ problem: 'the guest may have run since its state was saved' }]);
    await expect(retry()).rejects.toMatchObject({
      parameters: {
        reason: 'it cannot be tried again: the guest may have run since its state was saved',
      },
    });
    // The next agent finds its VMM, which still refuses.
    host.kill();
    client = await startSettled(host);
    expect(await list()).toMatchObject([{ problem: 'the guest may have run since its state was saved' }]);
  });

  it('goes on with another path for a disk that has moved, and has it from then on', async () => {
    const directory = mkdtempSync('/var/tmp/luo-disks-');
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const [old, moved, again] = ['old', 'moved', 'again'].map((name) => join(directory, name)) as [
      ...[string, string, string],
    ];
    writeFileSync(old, 'a disk');
    const vmm = await vmms.start('one', 'named_memory', {}, ['-drive', `file=${old},format=raw,id=d`]);
    await client.call('AdoptMachine', { pid: vmm.pid });
    renameSync(old, moved);
    expect((await update()).machines).toMatchObject([
      {
        stage: 'held',
        detail: `it does not run: 3 attempts; the last one: its VMM ended at once: it could not open ${old}`,
      },
    ]);
    // Also in the kernel after the next.
    expect((await update()).outcome).toBe('updated');
    expect(await list()).toMatchObject([{ names: [{ name: old, kind: 'disk', option: '-drive file' }] }]);

    const retryWith = (next: string, was = old) =>
      client.call('RetryMachine', { session: 'machine:one', changes: [{ old: was, new: next }] });
    for (const [parameter, was, next, expected] of [
      ['new name', old, join(directory, 'none'), 'a path that exists on the host'],
      ['old name', moved, moved, `one of the names on its command line: ${old}`],
    ] as const)
      await expect(retryWith(next, was)).rejects.toMatchObject({
        error: 'io.luoconsole.Agent.InvalidValue',
        parameters: { parameter, value: next, expected },
      });
    await expect(retry()).rejects.toMatchObject({
      parameters: { reason: `its VMM ended at once: it could not open ${old}` },
    });
    // A change that did not help is not kept.
    vmms.failing.add('one');
    await expect(retryWith(moved)).rejects.toMatchObject({ parameters: { reason: 'its VMM ended at once' } });
    expect(await list()).toMatchObject([{ names: [{ name: old }] }]);
    vmms.failing.delete('one');

    const { machine } = await retryWith(moved);
    expect(vmm.guest).toMatchObject({ running: true, loaded: 'device state' });
    const { entries } = await client.call('QueryJournal', { name: 'machine.retry', limit: 2 });
    const changes = [{ old, new: moved }];
    expect(entries).toMatchObject([
      { ok: true, parameters: { changes, name: 'one', way: 'named_memory' } },
      { ok: null },
    ]);
    expect(readFileSync(`/proc/${machine.pid}/cmdline`, 'utf8').split('\0')).toContain(
      `file=${moved},format=raw,id=d`,
    );
    // What is saved of it the next time has the path that its VMM has now.
    renameSync(moved, again);
    expect((await update()).machines).toMatchObject([{ stage: 'held' }]);
    expect(await list()).toMatchObject([{ names: [{ name: moved }] }]);
    await retryWith(again, moved);
    expect(vmm.guest.running).toBe(true);
  });

  it('is not tried again while somebody writes to its disk', async () => {
    const directory = mkdtempSync('/var/tmp/luo-disks-');
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const [disk, link, image] = ['disk', 'link', 'link-of-another'].map((name) => join(directory, name));
    if (!disk || !link || !image) throw new Error('there are three names');
    for (const each of [disk, image]) writeFileSync(each, 'a disk');
    symlinkSync(disk, link);
    const words = ['-drive', `file=${link},format=raw,id=d`, '-drive', `file=${image},readonly=on`];
    const vmm = await vmms.start('one', 'named_memory', {}, words);
    await client.call('AdoptMachine', { pid: vmm.pid });
    vmms.failing.add('one');
    expect((await update()).machines).toMatchObject([{ stage: 'held' }]);
    vmms.failing.clear();
    // One that it only reads is another's business.
    await opened(image, '>>');
    const other = await opened(disk, '>>');
    const reason = `process ${other.pid} (sh) has its disk ${link} open for writing, and two who write would destroy it`;
    await expect(retry()).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.MachineUnusable',
      parameters: { name: 'one', reason },
    });
    expect(vmm.guest.running).toBe(false);
    // Whoever only reads is no obstacle.
    await other.end();
    await opened(disk, '<');
    await retry();
    expect(vmm.guest).toMatchObject({ running: true, loaded: 'device state' });
  });

  it('is tried again beside others if its command line says that they share its disks', async () => {
    const directory = mkdtempSync('/var/tmp/luo-disks-');
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const disk = join(directory, 'disk');
    writeFileSync(disk, 'a disk');
    const more = ['-drive', `file=${disk},if=none,id=d`, '-device', 'virtio-blk-pci,drive=d,share-rw=on'];
    const vmm = await vmms.start('one', 'named_memory', {}, more);
    await client.call('AdoptMachine', { pid: vmm.pid });
    vmms.failing.add('one');
    await update();
    vmms.failing.clear();
    await opened(disk, '>>');
    await retry();
    expect(vmm.guest.running).toBe(true);
  });

  it.each(['while its state is loaded', 'between its mark and its run'])(
    'whose agent dies %s is found running in its unit, and adopted',
    async (when) => {
      let dies = false;
      const begun = Promise.withResolvers<void>();
      const goOn = Promise.withResolvers<void>();
      const vmm: MadeUpVmm = await held('named_memory', {
        cont: (socket, id) => {
          if (!dies) {
            vmm.guest.goOn();
            return value({})(socket, id);
          }
          dies = false;
          host.kill();
          begun.resolve();
          socket.destroy();
        },
      });
      if (when === 'while its state is loaded')
        vmms.beforeStart.set('one', async () => {
          host.kill();
          begun.resolve();
          await goOn.promise;
        });
      else dies = true;
      vmms.failing.delete('one');
      const failed = retry().catch((error: unknown) => error);
      await begun.promise;
      expect(await failed).toBeInstanceOf(Error);
      vmms.beforeStart.clear();
      client = await host.start();
      goOn.resolve();
      await host.agent?.settled;
      expect(await list()).toEqual([]);
      expect(vmm.guest).toMatchObject({ running: true, loaded: 'device state' });
      expect((await client.call('GetMachine', { pid: vmm.pid })).machine.session).toBe('machine:one');
      expect((await labels()).filter((label) => label.includes('does not run'))).toEqual([]);
      const { entries } = await client.call('QueryJournal', { name: 'machine.found' });
      expect(entries).toMatchObject([{ ok: true, session: 'machine:one' }, { ok: null }]);
      // From now on it is a machine like any other.
      expect((await update()).machines).toMatchObject([{ stage: 'resumed', newPid: vmm.pid }]);
    },
  );

  it.each(['its definition', 'a definition of its name'])(
    'is not started from %s beside that',
    async (whose) => {
      const isIts = whose === 'its definition';
      const monitor = 'unix:/run/luo-console/machines/one/qmp,server=on';
      const vmm = await vmms.start('one', 'named_memory', {}, isIts ? ['-monitor', monitor] : []);
      if (isIts) {
        const unit = join(host.paths.sys, 'fs/cgroup/machine.slice/luo-machine-one.service');
        mkdirSync(unit, { recursive: true });
        writeFileSync(join(unit, 'cgroup.procs'), `${vmm.pid}\n`);
      }
      const adopted = await client.call('AdoptMachine', { pid: vmm.pid });
      expect(adopted.machine.definition).toBe(isIts ? 'one' : null);
      vmms.failing.add('one');
      expect((await update()).machines).toMatchObject([{ stage: 'held' }]);
      const definitions = join(host.paths.etc, 'luo-console/machines');
      mkdirSync(definitions, { recursive: true });
      const path = join(definitions, 'one.json');
      writeFileSync(path, JSON.stringify({ memory: 64, accelerator: 'tcg', kernel: '/nowhere/vmlinuz' }), {
        mode: 0o644,
      });
      const start = () => client.call('StartMachine', { name: 'one' });
      const reason =
        'its memory is held in session "machine:one", and a second VMM would use the same disks; ' +
        'try it again or give it up first (luocon retry, luocon abandon)';
      await expect(start()).rejects.toMatchObject({
        error: 'io.luoconsole.Agent.MachineUnusable',
        parameters: { pid: 0, name: 'one', reason },
      });
      // Once it is given up only the kernel that is not there is in the way.
      await client.call('AbandonMachine', { session: 'machine:one' });
      await expect(start()).rejects.toMatchObject({ error: 'io.luoconsole.Agent.DefinitionInvalid' });
    },
  );

  it('keeps the host from being shut down until it is given up, also after a restart of the agent', async () => {
    await held();
    expect(host.heldOff.at(-1)).toBe(true);
    host.kill();
    host.heldOff.length = 0;
    client = await startSettled(host);
    await vi.waitFor(() => expect(host.heldOff).toEqual([true]));
    await client.call('AbandonMachine', { session: 'machine:one' });
    await vi.waitFor(() => expect(host.heldOff).toEqual([true, false]));
  });

  it('is given up with its session, which the journal says', async () => {
    await held();
    await client.call('AbandonMachine', { session: 'machine:one' });
    expect(await list()).toEqual([]);
    expect((await client.call('ListSessions', {})).sessions).toEqual([]);
    const { entries } = await client.call('QueryJournal', { name: 'machine.abandon' });
    expect(entries).toMatchObject([{ ok: true, session: 'machine:one' }, { ok: null }]);
    expect(await entriesOf(client, 'machine.retry', '')).toEqual([]);
  });

  it('is told from sessions that people made, and from machines that run', async () => {
    const vmm = await vmms.start('one', 'named_memory');
    await client.call('AdoptMachine', { pid: vmm.pid });
    await client.call('CreateSession', { name: 'theirs' });
    for (const session of ['machine:one', 'theirs', 'nobody']) {
      const error = session === 'nobody' ? 'SessionNotFound' : 'MachineUnusable';
      for (const method of ['RetryMachine', 'AbandonMachine'] as const)
        await expect(client.call(method, { session })).rejects.toMatchObject({
          error: `io.luoconsole.Agent.${error}`,
        });
    }
    expect((await client.call('ListSessions', {})).sessions).toHaveLength(2);
  });
});
