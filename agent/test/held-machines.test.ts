// SPDX-License-Identifier: Apache-2.0
/** What becomes of a machine that an update could not start again: tried once more, carried on, or given up. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import type { HeldMachine, Update } from '../src/interface/agent.generated.ts';
import { SessionStore } from '../src/liveupdate/sessions.ts';
import type { Answer } from '../src/qemu/fake-qmp.fixture.ts';
import { MadeUpHost } from './made-up-host.ts';
import { type CarriedWay, type MadeUpVmm, MadeUpVmms } from './made-up-vmms.ts';
import { entriesOf, planOf, runToKexec, startSettled } from './scenario.ts';

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

/** A machine that is held, because its VMM ended at every attempt. */
async function held(
  way: CarriedWay = 'named_memory',
  answers: Record<string, Answer> = {},
): Promise<MadeUpVmm> {
  const vmm = await vmms.start('one', way, answers);
  await client.call('AdoptMachine', { pid: vmm.pid });
  if (Object.keys(answers).length === 0) vmms.failing.add('one');
  expect((await update()).machines).toMatchObject([{ stage: 'held' }]);
  return vmm;
}

const list = async (): Promise<HeldMachine[]> => (await client.call('ListHeldMachines', {})).machines;
const retry = () => client.call('RetryMachine', { session: 'machine:one' });
const labels = async (): Promise<string[]> =>
  (await client.call('GetSession', { name: 'machine:one' })).session.descriptors.map(({ label }) => label);

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
    await held('named_memory', { cont: refuse });
    expect(await list()).toMatchObject([{ problem: 'the guest may have run since its state was saved' }]);
    await expect(retry()).rejects.toMatchObject({
      parameters: {
        reason: 'it cannot be tried again: the guest may have run since its state was saved',
      },
    });
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
