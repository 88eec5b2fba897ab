// SPDX-License-Identifier: Apache-2.0
/** A live update of the whole agent with machines in it (`src/adoption/adoptions.ts`), on a made-up host. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import type { Update } from '../src/interface/agent.generated.ts';
import { KernelState } from '../src/kernel/kernel-state.ts';
import { HeldSession } from '../src/liveupdate/held-session.ts';
import { SlotFile } from '../src/liveupdate/slots.ts';
import { indexSessionName, manifestToken } from '../src/liveupdate/tokens.ts';
import type { Answer } from '../src/qemu/fake-qmp.fixture.ts';
import { History } from '../src/update/record/history.ts';
import { MadeUpHost } from './made-up-host.ts';
import { type CarriedWay, type MadeUpVmm, MadeUpVmms } from './made-up-vmms.ts';
import { contentOf, entriesOf, planOf, runToKexec, startSettled } from './scenario.ts';

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

const refuse: Answer = (socket, id) =>
  void socket.write(`${JSON.stringify({ id, error: { class: 'GenericError', desc: 'not today' } })}\n`);

async function adopted(
  name: string,
  way: CarriedWay = 'named_memory',
  answers: Record<string, Answer> = {},
): Promise<MadeUpVmm> {
  const vmm = await vmms.start(name, way, answers);
  await client.call('AdoptMachine', { pid: vmm.pid });
  return vmm;
}

/** The kexec, which ends every VMM, and the start of the next kernel's agent. */
async function arrive(): Promise<Update> {
  host.becomeNextKernel();
  return await arriveThere();
}

/** As an agent of another version would have written it. The index is then as if the service manager had it. */
async function rewriteIndex(
  change: (record: { machines: Record<string, unknown>[] }) => void,
): Promise<void> {
  using device = host.double.openDevice(host.paths.device);
  const index = await host.double.retrieveSession(device, indexSessionName);
  using file = await host.double.retrieveFd(index, manifestToken);
  const slots = new SlotFile(native.memory, file);
  const record = JSON.parse(slots.read()?.toString('utf8') ?? '');
  change(record);
  slots.write(Buffer.from(JSON.stringify(record)));
  host.manager.kept.set(`s-${Buffer.from(indexSessionName).toString('hex')}`, index);
}

async function arriveThere(): Promise<Update> {
  await vmms.endAll();
  client = await startSettled(host);
  const [update] = (await client.call('ListUpdates', {})).updates;
  if (!update) throw new Error(`no update was settled: ${host.log.join('\n')}`);
  return update;
}

const sessionNames = async (): Promise<string[]> =>
  (await client.call('ListSessions', {})).sessions.map(({ name }) => name);

/** How an update ended that did not leave this kernel. */
async function settled(id: string): Promise<Update> {
  return (await client.call('GetUpdate', { id })).update;
}

describe('a machine', () => {
  it.each<CarriedWay>(['cpr', 'named_memory', 'whole_state'])('is carried over: %s', async (way) => {
    const vmm = await adopted('one', way);
    const former = vmm.pid;
    expect((await client.call('GetMachine', { pid: former })).machine).toMatchObject({ way });
    await runToKexec(host, client);
    expect(vmm.guest.running).toBe(false);
    const update = await arrive();
    expect(update.outcome, update.reason).toBe('updated');
    expect(update.machines).toMatchObject([
      { name: 'one', stage: 'resumed', pid: former, newPid: vmm.pid, way },
    ]);
    expect(vmm.guest.running).toBe(true);
  });

  it('whose VMM ends after it is saved is started again in the next kernel all the same', async () => {
    vmms.withDisk = true;
    const vmm = await adopted('one');
    let syncs = 0;
    // In phase *kexec*, when everything is saved.
    host.syncPlace = async () => {
      if (vmm.guest.running) return;
      syncs += 1;
      if (syncs === 1) await vmms.end(vmm);
    };
    await runToKexec(host, client);
    // Its own file system, and the journal's.
    expect(syncs).toBe(2);
    const update = await arrive();
    expect(update.outcome, update.reason).toBe('updated');
    expect(update.machines).toMatchObject([{ stage: 'resumed', newPid: vmm.pid }]);
    expect(vmm.guest).toMatchObject({ running: true, loaded: 'device state' });
    expect(await sessionNames()).toEqual(['machine:one']);
  });

  it.each([
    { ifMachineFails: 'stop', outcome: 'aborted' },
    { ifMachineFails: 'leave', outcome: 'updated' },
  ] as const)(
    'whose VMM ends before it is stopped is dealt with by the policy: $ifMachineFails',
    async ({ ifMachineFails, outcome }) => {
      const [vmm, other] = [await adopted('one'), await adopted('two')];
      host.sync = async () => await vmms.end(vmm);
      const plan = await planOf(host, client, { ifMachineFails });
      const id = await runToKexec(host, client, { plan, wait: outcome === 'updated' ? 'kexec' : 'settled' });
      const update = outcome === 'updated' ? await arrive() : await settled(id);
      expect(update.outcome, update.reason).toBe(outcome);
      expect(update.machines.map(({ name, stage }) => [name, stage])).toEqual(
        outcome === 'updated'
          ? [
              ['two', 'resumed'],
              ['one', 'left_behind'],
            ]
          : expect.arrayContaining([['two', 'running']]),
      );
      expect(other.guest.running).toBe(true);
      expect(await sessionNames()).toEqual(['machine:two']);
    },
  );

  it('that no resume program has room for is not stopped, because nobody could bring it back', async () => {
    const other = await adopted('two');
    // With those that it has itself just as many as are preserved; the program adds some.
    const many = Array.from({ length: 4088 }, () => 'x');
    const vmm = await vmms.start('one', 'named_memory', {}, many);
    await client.call('AdoptMachine', { pid: vmm.pid });
    const id = await runToKexec(host, client, { wait: 'settled' });
    const update = await settled(id);
    expect(update.outcome).toBe('aborted');
    expect(update.reason).toContain('one cannot be saved: instruction word: more than 4096 in one machine');
    expect([vmm.guest.running, other.guest.running]).toEqual([true, true]);
    expect(vmm.guest.commands).not.toContain('stop');
  });

  it('that starts at a later attempt runs', async () => {
    const vmm = await adopted('one');
    await runToKexec(host, client);
    vmms.failing.add('one');
    const { starter } = host;
    if (!starter) throw new Error('the host has no service manager');
    let starts = 0;
    host.starter = {
      ...starter,
      resume: async (...given) => {
        starts += 1;
        if (starts === 3) vmms.failing.delete('one');
        await starter.resume(...given);
      },
    };
    const update = await arrive();
    expect(starts).toBe(3);
    expect(update.outcome, update.reason).toBe('updated');
    expect(update.machines).toMatchObject([{ stage: 'resumed', newPid: vmm.pid }]);
    expect(vmm.guest).toMatchObject({ running: true, loaded: 'device state' });
    expect(host.log.filter((line) => line.includes('is tried again'))).toHaveLength(2);
  });

  it('whose agent dies while it is brought back is waited for by the next one, and not loaded again', async () => {
    const vmm = await adopted('one');
    await runToKexec(host, client);
    host.becomeNextKernel();
    await vmms.endAll();
    const [begun, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    vmms.beforeStart.set('one', async () => {
      begun.resolve();
      await goOn.promise;
    });
    const dying = host.launch();
    await begun.promise;
    host.kill();
    await dying;
    const { starter } = host;
    if (!starter) throw new Error('the host has no service manager');
    const asked: string[] = [];
    host.starter = {
      ...starter,
      resume: async () => void asked.push('resume'),
      stop: async () => void asked.push('stop'),
      settle: async (name) => {
        asked.push('settle');
        goOn.resolve();
        await starter.settle(name);
      },
    };
    client = await startSettled(host);
    const [update] = (await client.call('ListUpdates', {})).updates;
    expect(update?.outcome, update?.reason).toBe('updated');
    expect(update?.machines).toMatchObject([{ stage: 'resumed', newPid: vmm.pid }]);
    expect(vmm.guest).toMatchObject({ running: true, loaded: 'device state' });
    expect(asked).toEqual(['settle']);
  });

  it('of which every attempt ends the agent is held after as many as one agent makes, and is tried again then', async () => {
    const vmm = await adopted('one');
    await runToKexec(host, client);
    host.becomeNextKernel();
    await vmms.endAll();
    vmms.failing.add('one');
    let attempts = 0;
    vmms.beforeStart.set('one', async () => {
      attempts += 1;
      host.kill();
    });
    // More starts than there may be attempts: without an end of them no agent would ever be ready.
    for (let start = 0; start < 10 && host.agent === null; start += 1) await host.launch();
    expect(attempts).toBe(3);
    client = await host.connect();
    await host.agent?.settled;
    const [update] = (await client.call('ListUpdates', {})).updates;
    expect(update?.machines).toMatchObject([
      {
        stage: 'held',
        detail: 'it does not run: 3 attempts, the last one by an agent before this one',
      },
    ]);
    vmms.failing.clear();
    vmms.beforeStart.clear();
    await client.call('RetryMachine', { session: 'machine:one' });
    expect(vmm.guest).toMatchObject({ running: true, loaded: 'device state' });
  });

  it('that an earlier agent saved is started with what is usual', async () => {
    const vmm = await adopted('one');
    await runToKexec(host, client);
    host.becomeNextKernel();
    await rewriteIndex(({ machines }) => {
      for (const machine of machines) {
        expect(machine['facts']).toMatchObject({ umask: expect.any(Number), obstacle: null });
        delete machine['facts'];
      }
    });
    const update = await arriveThere();
    expect(update.machines).toMatchObject([{ stage: 'resumed', newPid: vmm.pid }]);
    expect(vmm.guest).toMatchObject({ running: true, loaded: 'device state' });
  });

  it('that does not start is held: its memory and a copy of its state are in its session', async () => {
    await adopted('one');
    await runToKexec(host, client);
    vmms.failing.add('one');
    const update = await arrive();
    expect(update.machines).toMatchObject([
      { stage: 'held', detail: 'it does not run: 3 attempts; the last one: its VMM ended at once' },
    ]);
    const { session } = await client.call('GetSession', { name: 'machine:one' });
    expect(session).toMatchObject({ direction: 'outgoing' });
    expect(session.descriptors.map(({ label }) => label)).toEqual([
      expect.stringContaining('memory of one'),
      'record of a machine that does not run',
      'state of a machine that does not run',
    ]);
    const [, record, state] = session.descriptors;
    expect(JSON.parse(await contentOf(client, 'machine:one', record?.token ?? ''))).toMatchObject({
      name: 'one',
      session: 'machine:one',
    });
    expect(await contentOf(client, 'machine:one', state?.token ?? '')).toContain('device state');
    // The index is done with, and this does not depend on it.
    expect([...host.manager.kept.keys()].filter((name) => name.startsWith('s-'))).toHaveLength(1);
    const failed = (await entriesOf(client, 'update.step', update.id)).filter(({ ok }) => ok === false);
    expect(failed).toMatchObject([
      { parameters: { step: 'resume:machine:one' }, message: expect.stringContaining('held') },
    ]);
  });

  it.each(['tries again', 'lets it go with its session'])(
    'that is held keeps the index, and no update leaves, if its state cannot be copied: the next agent %s',
    async (how) => {
      await adopted('one');
      await runToKexec(host, client);
      vmms.failing.add('one');
      const { preserveFd } = host.double;
      vi.spyOn(host.double, 'preserveFd').mockImplementation(async (...given) => {
        // Its memory has token 0.
        if (given[2] !== 1n && given[2] !== 2n) return await preserveFd.apply(host.double, given);
        throw Object.assign(new Error('preserveFd: ENOMEM'), { code: 'ENOMEM', errno: 12, syscall: 'ioctl' });
      });
      const update = await arrive();
      expect(update.machines).toMatchObject([{ stage: 'held' }]);
      expect(update.reason).toMatch(/session machine:one: kept in the index session only: .*ENOMEM/);
      const { session } = await client.call('GetSession', { name: 'machine:one' });
      expect(session.descriptors).toHaveLength(1);
      const check = async () =>
        (await planOf(host, client)).checks.find(({ name }) => name === 'last update');
      const kept = () => [...host.manager.kept.keys()].filter((name) => name.startsWith('s-')).length;
      expect(await check()).toMatchObject({
        verdict: 'fail',
        detail: expect.stringContaining('machine:one'),
      });
      expect(kept()).toBe(2);

      vi.restoreAllMocks();
      if (how !== 'tries again') await client.call('CloseSession', { name: 'machine:one' });
      host.kill();
      client = await startSettled(host);
      expect(await check()).toMatchObject({ verdict: 'pass' });
      if (how === 'tries again') {
        const again = await client.call('GetSession', { name: 'machine:one' });
        expect(again.session.descriptors).toHaveLength(3);
        expect(kept()).toBe(1);
      } else expect(kept()).toBe(0);
    },
  );

  it('is started late if the index can be retrieved only by the second look', async () => {
    const vmm = await adopted('one');
    await runToKexec(host, client);
    const { retrieveSession } = host.double;
    vi.spyOn(host.double, 'retrieveSession').mockImplementation(async (...given) => {
      if (host.log.filter((line) => line.includes('could not be retrieved')).length === 2)
        return await retrieveSession.apply(host.double, given);
      throw Object.assign(new Error('ENOMEM'), { code: 'ENOMEM', errno: 12, syscall: 'ioctl' });
    });
    const update = await arrive();
    expect(update.outcome, update.reason).toBe('updated');
    expect(update.machines).toMatchObject([{ stage: 'resumed', newPid: vmm.pid }]);
    expect(vmm.guest).toMatchObject({ running: true, loaded: 'device state' });
    expect(await sessionNames()).toEqual(['machine:one']);
    expect((await client.call('GetSession', { name: 'machine:one' })).session.direction).toBe('outgoing');
  });

  it('that is held is not started once more from its definition: both would use its disks', async () => {
    await adopted('one');
    await runToKexec(host, client);
    vmms.failing.add('one');
    await arrive();
    const folder = join(host.paths.etc, 'luo-console/machines');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'one.json'), JSON.stringify({ memory: 64, user: 'nobody-here' }));
    vi.spyOn(HeldSession.prototype, 'machine', 'get').mockImplementation(function machine(this: HeldSession) {
      const head = this.manifest?.head.machine ?? null;
      return head && { ...head, definition: 'one' };
    });
    await expect(client.call('StartMachine', { name: 'one' })).rejects.toMatchObject({
      parameters: { name: 'one', reason: expect.stringContaining('session "machine:one"') },
    });
    await client.call('CloseSession', { name: 'machine:one' });
    await expect(client.call('StartMachine', { name: 'one' })).rejects.not.toMatchObject({
      parameters: { reason: expect.stringContaining('session "machine:one"') },
    });
  });

  it('is entered although the record of the update does not fit', async () => {
    const vmm = await adopted('one');
    await runToKexec(host, client);
    host.becomeNextKernel();
    await rewriteIndex((record) => Object.assign(record, { update: { of: 'another version' } }));
    host.forgetDisk();
    await vmms.endAll();
    client = await startSettled(host);
    expect(vmm.guest.running).toBe(true);
    expect((await client.call('GetMachine', { pid: vmm.pid })).machine.session).toBe('machine:one');
  });

  it('runs, and acts are accepted, where the settlement fails: the next agent settles', async () => {
    const vmm = await adopted('one');
    await runToKexec(host, client);
    host.becomeNextKernel();
    await vmms.endAll();
    const availability = vi
      .spyOn(KernelState.prototype, 'availability')
      .mockRejectedValue(new Error('EMFILE'));
    client = await startSettled(host);
    availability.mockRestore();
    expect(vmm.guest.running).toBe(true);
    expect((await client.call('GetStatus', {})).status.phase).toBe('normal');
    expect(host.log.join()).toContain('the live update could not be settled');
    const check = async () => (await planOf(host, client)).checks.find(({ name }) => name === 'last update');
    expect(await check()).toMatchObject({ verdict: 'fail', detail: expect.stringContaining('EMFILE') });
    host.kill();
    client = await startSettled(host);
    const [update] = (await client.call('ListUpdates', {})).updates;
    expect(update?.outcome, update?.reason).toBe('updated');
    expect(await check()).toMatchObject({ verdict: 'pass' });
  });

  it('runs through a settlement that cannot be written, and the next agent says so', async () => {
    const [vmm, other] = [await adopted('one'), await adopted('two')];
    await runToKexec(host, client);
    vmms.failing.add('two');
    host.becomeNextKernel();
    await vmms.endAll();
    const settling = vi.spyOn(History.prototype, 'settled').mockImplementation(() => {
      throw new Error('ENOSPC');
    });
    client = await startSettled(host);
    expect(vmm.guest.running).toBe(true);
    const { pid } = vmm;
    vmms.failing.delete('two');
    await client.call('RetryMachine', { session: 'machine:two' });
    settling.mockRestore();
    host.kill();
    client = await startSettled(host);
    const [update] = (await client.call('ListUpdates', {})).updates;
    expect(update?.machines.find(({ name }) => name === 'one')).toMatchObject({
      stage: 'resumed',
      newPid: pid,
    });
    expect([vmm.pid, vmm.guest.running, other.guest.running]).toEqual([pid, true, true]);
    for (const name of ['machine:one', 'machine:two']) {
      const { session } = await client.call('GetSession', { name });
      expect(session.descriptors).toHaveLength(1);
    }
    expect((await client.call('ListHeldMachines', {})).machines).toEqual([]);
  });

  it('whose record does not fit is held, and costs three others nothing', async () => {
    await adopted('one');
    const others = [
      await adopted('two', 'cpr'),
      await adopted('three', 'whole_state'),
      await adopted('four'),
    ];
    await runToKexec(host, client);
    host.becomeNextKernel();
    await rewriteIndex((record) => {
      for (const machine of record.machines)
        if (machine['name'] === 'one') machine['way'] = 'of another version';
    });
    const update = await arriveThere();
    expect(update.machines.map(({ name, stage }) => [name, stage]).sort()).toEqual([
      ['four', 'resumed'],
      ['one', 'held'],
      ['three', 'resumed'],
      ['two', 'resumed'],
    ]);
    expect(update.reason).toContain('its record in the index session does not fit: way');
    expect(others.map(({ guest }) => [guest.running, guest.loaded])).toEqual(
      others.map(() => [true, 'device state']),
    );
    const { session } = await client.call('GetSession', { name: 'machine:one' });
    expect(session.descriptors.map(({ label }) => label)).toEqual([
      expect.stringContaining('memory of one'),
      'record of a machine that does not run',
      'state of a machine that does not run',
    ]);
  });

  it.each(['policy', 'choice', 'choice, alone'] as const)(
    'that was left behind by %s has no session in the next kernel any more',
    async (by) => {
      const answers: Record<string, Answer> = by === 'policy' ? { migrate: refuse } : {};
      const vmm = await adopted('one', 'named_memory', answers);
      if (by !== 'choice, alone') await adopted('two');
      const leave = by === 'policy' ? [] : [vmm.pid];
      const plan = await planOf(host, client, { leave, ifMachineFails: 'leave' });
      await runToKexec(host, client, { plan });
      expect(vmm.guest.running).toBe(true);
      const update = await arrive();
      expect(update.outcome, update.reason).toBe('updated');
      expect(update.machines.find(({ name }) => name === 'one')).toMatchObject({ stage: 'left_behind' });
      expect(await sessionNames()).toEqual(by === 'choice, alone' ? [] : ['machine:two']);
    },
  );

  it.each([
    { what: 'an index that cannot be read', outcome: 'unknown', stage: 'held', sessions: ['machine:one'] },
    { what: 'a power cut', outcome: 'cold_boot', stage: 'lost', sessions: [] },
  ])('is $stage with $what, and the record says so', async ({ what, outcome, stage, sessions }) => {
    const vmm = await adopted('one');
    await runToKexec(host, client);
    if (what === 'a power cut') host.powerCut();
    else {
      host.becomeNextKernel();
      using device = host.double.openDevice(host.paths.device);
      using index = await host.double.retrieveSession(device, indexSessionName);
      using record = await host.double.retrieveFd(index, manifestToken);
      native.memory.write(record, 0n, Buffer.alloc(Number(native.memory.fileFacts(record).size)));
      host.manager.kept.set(
        `s-${Buffer.from(indexSessionName).toString('hex')}`,
        native.descriptors.duplicate(index),
      );
    }
    await vmms.endAll();
    client = await startSettled(host);
    const [update] = (await client.call('ListUpdates', {})).updates;
    expect(update).toMatchObject({ outcome, machines: [{ name: 'one', stage, newPid: null }] });
    expect(update?.reason).toContain(`1 of 1 machine does not run: one is ${stage}`);
    const left = (): number => [...host.manager.kept.keys()].filter((name) => name.startsWith('s-')).length;
    expect(left()).toBe(stage === 'held' ? 2 : 0);
    expect(vmm.guest.running).toBe(false);
    expect(await sessionNames()).toEqual(sessions);
    if (stage === 'lost') return;
    // What cannot be read may still be needed: it stays through restarts, until somebody gives the machine up.
    for (const sessionsLeft of [2, 0]) {
      if (sessionsLeft === 0) await client.call('CloseSession', { name: 'machine:one' });
      host.kill();
      client = await startSettled(host);
      expect(left()).toBe(sessionsLeft);
    }
  });

  it('whose VMM ends just while it is entered again has no session any more, and holds nothing up', async () => {
    const vmm = await adopted('one');
    await runToKexec(host, client);
    const { starter } = host;
    if (!starter) throw new Error('the host has no service manager');
    host.starter = {
      ...starter,
      pid: async (name) => {
        const pid = await starter.pid(name);
        // What is left of a process that ends: whether it is there can still be read, what it runs cannot.
        const stat = readFileSync(`/proc/${pid}/stat`);
        rmSync(join(host.paths.proc, String(pid)));
        mkdirSync(join(host.paths.proc, String(pid)));
        writeFileSync(join(host.paths.proc, String(pid), 'stat'), stat);
        return pid;
      },
    };
    const update = await arrive();
    expect(update.outcome, update.reason).toBe('updated');
    expect((await client.call('GetStatus', {})).status.phase).toBe('normal');
    rmSync(join(host.paths.proc, String(vmm.pid)), { recursive: true });
    expect(await sessionNames()).toEqual([]);
  });
});

describe('machines that were stopped', () => {
  it('run on if the kernel refuses, and so does what was taken from them', async () => {
    const all = [await adopted('one', 'cpr'), await adopted('two'), await adopted('three', 'whole_state')];
    host.kexec = 'refused';
    const id = await runToKexec(host, client, { wait: 'settled' });
    expect(await settled(id)).toMatchObject({ outcome: 'returned' });
    expect(all.map(({ guest }) => guest.running)).toEqual([true, true, true]);
    // Their monitors are free again, and everything is ready for the next attempt.
    host.kexec = 'works';
    await runToKexec(host, client);
    expect((await arrive()).outcome).toBe('updated');
  });

  it('are let run on by the next agent if this one dies before the kexec', async () => {
    const vmm = await adopted('one');
    const id = await runToKexec(host, client);
    expect(vmm.guest.running).toBe(false);
    host.kill();
    client = await startSettled(host);
    expect(vmm.guest.running).toBe(true);
    expect((await settled(id)).outcome).toBe('aborted');
    const { session } = await client.call('GetSession', { name: 'machine:one' });
    expect(session.direction).toBe('outgoing');
  });
});
