// SPDX-License-Identifier: Apache-2.0
/**
 * What the whole agent makes of a machine as it was before an update (`src/adoption/adoptions.ts`): an update that is
 * aborted, an agent that dies, and what somebody else does through another monitor.
 */
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeVmm, usualSettings } from '../src/adoption/fake-vmm.fixture.ts';
import type { AgentClient } from '../src/client/index.ts';
import type { Update } from '../src/interface/agent.generated.ts';
import { type Answer, refusal, value } from '../src/qemu/fake-qmp.fixture.ts';
import { MadeUpHost } from './made-up-host.ts';
import { type CarriedWay, type MadeUpVmm, MadeUpVmms } from './made-up-vmms.ts';
import { planOf, runToKexec, startSettled } from './scenario.ts';

let host: MadeUpHost;
let vmms: MadeUpVmms;
let client: AgentClient;

beforeEach(async () => {
  host = new MadeUpHost();
  vmms = new MadeUpVmms(host);
  client = await host.start();
});

afterEach(async () => {
  await vmms.endAll();
  host.dispose();
});

async function adopted(
  name: string,
  way: CarriedWay = 'named_memory',
  answers: Record<string, Answer> = {},
): Promise<MadeUpVmm> {
  const vmm = await vmms.start(name, way, answers);
  await client.call('AdoptMachine', { pid: vmm.pid });
  return vmm;
}

const updateOf = async (id: string): Promise<Update> => (await client.call('GetUpdate', { id })).update;

/** The kexec, which ends every VMM, and the start of the next kernel's agent. */
async function arrive(): Promise<Update> {
  host.becomeNextKernel();
  await vmms.endAll();
  client = await startSettled(host);
  const [update] = (await client.call('ListUpdates', {})).updates;
  if (!update) throw new Error('no update was settled');
  return update;
}

/** Resolves in the grace of an update, when all is ready to stop the machines. */
const inGrace = () => runToKexec(host, client, { wait: 'announced', graceSeconds: 600 });

describe('an update', () => {
  it('does not begin while a machine is stopped from the one before, as if its owner had paused it', async () => {
    await adopted('one', 'named_memory', { cont: refusal('not today') });
    host.kexec = 'refused';
    const before = await updateOf(await runToKexec(host, client, { wait: 'settled' }));
    expect(before.machines).toMatchObject([{ stage: 'held' }]);
    const start = async (): Promise<unknown> => {
      const plan = await planOf(host, client);
      return await client.stream('RunUpdate', { plan: plan.id }).next();
    };
    for (let times = 0; times < 2; times += 1)
      await expect(start()).rejects.toMatchObject({
        error: 'io.luoconsole.Agent.PlanNotRunnable',
        parameters: { reason: expect.stringContaining('not today') },
      });
    // An agent that was not there then has nothing to undo, and finds the machine stopped all the same.
    host.kill();
    client = await startSettled(host);
    await expect(start()).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.PlanNotRunnable',
      parameters: { reason: 'still stopped since the update before: machine:one' },
    });
  });
});

describe('the migration settings of a machine', () => {
  it.each<CarriedWay>(['cpr', 'named_memory'])('are as before when an update is aborted: %s', async (way) => {
    const { guest } = await adopted('one', way);
    await inGrace();
    expect(guest.settings).not.toEqual(usualSettings);
    await client.call('AbortUpdate', {});
    expect(guest.settings).toEqual(usualSettings);
    expect(guest.running).toBe(true);
  });

  it('are as before once the next agent is there, if this one dies in the grace', async () => {
    const { guest } = await adopted('one', 'cpr');
    await inGrace();
    host.kill();
    expect(guest.settings).not.toEqual(usualSettings);
    client = await startSettled(host);
    expect(guest.settings).toEqual(usualSettings);
    expect(guest.commands).not.toContain('cont');
  });

  it('that cannot be put back keep the next update from beginning, which people are told, until they are', async () => {
    const { guest } = await adopted('one', 'cpr');
    await inGrace();
    guest.keepSettings(true);
    const { update } = await client.call('AbortUpdate', {});
    expect(update.reason).toContain('the migration settings of one are not as before yet');
    expect(guest.settings.parameters['mode']).toBe('cpr-transfer');
    expect(host.manager.messages.at(-1)).toBe(
      'STATUS=phase normal, 1 sessions; machine:one is not as before the last update',
    );
    const plan = await planOf(host, client);
    const failed = {
      name: 'machines as before',
      verdict: 'fail',
      detail: expect.stringContaining('the migration settings of one are not as before the last update'),
    };
    expect(plan.checks).toContainEqual(failed);
    await expect(client.stream('RunUpdate', { plan: plan.id }).next()).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.PlanNotRunnable',
      parameters: { reason: expect.stringContaining('the migration settings of one') },
    });
    const without = await planOf(host, client, { leave: [update.machines[0]?.pid ?? 0] });
    expect(without.checks).toContainEqual(
      expect.objectContaining({ ...failed, verdict: 'pass', detail: expect.any(String) }),
    );
    guest.keepSettings(false);
    // It tries first.
    await client.stream('RunUpdate', { plan: (await planOf(host, client)).id, graceSeconds: 600 }).next();
    await client.call('AbortUpdate', {});
    expect(guest.settings).toEqual(usualSettings);
    expect(host.manager.messages.at(-1)).toBe('STATUS=phase normal, 1 sessions');
  });

  it('are as before if the kernel refuses the kexec', async () => {
    const { guest } = await adopted('one', 'cpr');
    host.kexec = 'refused';
    await runToKexec(host, client, { wait: 'settled' });
    expect({ running: guest.running, settings: guest.settings }).toEqual({
      running: true,
      settings: usualSettings,
    });
  });

  it.each([
    { by: 'the resume program', refuses: false },
    { by: 'the agent, where the resume program could not', refuses: true },
  ])('are put back in the next kernel by $by', async ({ refuses }) => {
    const { guest } = await adopted('one', 'named_memory');
    await runToKexec(host, client);
    expect(guest.settings.capabilities).toMatchObject({ events: true, 'x-ignore-shared': true });
    if (refuses) guest.keepSettingsOnce();
    const sets = (): number => guest.commands.filter((each) => each === 'migrate-set-capabilities').length;
    const before = sets();
    const update = await arrive();
    expect(update.machines).toMatchObject([{ name: 'one', stage: 'resumed' }]);
    expect(guest).toMatchObject({ running: true, settings: usualSettings });
    // To take it in, behind that, and by the agent.
    expect(sets() - before).toBe(3);
  });
});

describe('a machine whose VMM sends its state as the agent dies', () => {
  it('is let run by the next agent, though no agent has stopped it', async () => {
    const told = Promise.withResolvers<void>();
    const { guest, pid } = await vmms.start('one', 'cpr', { migrate: () => told.resolve() });
    await client.call('AdoptMachine', { pid });
    runToKexec(host, client).catch(() => {});
    await told.promise;
    host.kill();
    guest.becomes('postmigrate');
    client = await startSettled(host);
    expect(guest.running).toBe(true);
    expect(guest.settings).toEqual(usualSettings);
  });

  it('does not run here too if somebody else has migrated it, before the agent began to save it', async () => {
    const { guest } = await adopted('one', 'cpr');
    await inGrace();
    host.kill();
    guest.becomes('postmigrate');
    client = await startSettled(host);
    expect(guest.running).toBe(false);
    expect(guest.commands).not.toContain('cont');
  });
});

describe('a machine that its owner has paused', () => {
  it('is not let run by the next agent, if this one dies after it was saved', async () => {
    const [paused, other] = [await adopted('one'), await adopted('two')];
    paused.guest.pause();
    await runToKexec(host, client);
    host.kill();
    client = await startSettled(host);
    expect([paused.guest.running, other.guest.running]).toEqual([false, true]);
    expect(paused.guest.commands).not.toContain('cont');
    expect(paused.guest.settings).toEqual(usualSettings);
  });

  it('is paused in the next kernel too, also if that was in the grace', async () => {
    const { guest } = await adopted('one');
    host.sync = async () => guest.pause();
    await runToKexec(host, client);
    expect((await arrive()).machines).toMatchObject([{ name: 'one', stage: 'resumed' }]);
    expect({ running: guest.running, loaded: guest.loaded }).toEqual({
      running: false,
      loaded: 'device state',
    });
    expect(guest.commands).not.toContain('cont');
  });
});

describe('a machine that somebody else lets run after it was saved', () => {
  it.each(['stop', 'leave'] as const)(
    'ends the update in its last moment, and all run on: policy %s',
    async (ifMachineFails) => {
      let guest: FakeVmm | null = null;
      let saved = false;
      const status: Answer = (socket, id) => {
        if (saved) guest?.goOn();
        const running = guest?.running ?? true;
        value({ status: running ? 'running' : 'postmigrate', running })(socket, id);
      };
      vmms.withDisk = true;
      const vmm = await vmms.start('one', 'named_memory', { 'query-status': status });
      guest = vmm.guest;
      await client.call('AdoptMachine', { pid: vmm.pid });
      const other = await adopted('two');
      host.syncPlace = async () => {
        saved ||= !vmm.guest.running;
      };
      const plan = await planOf(host, client, { ifMachineFails });
      const update = await updateOf(await runToKexec(host, client, { plan, wait: 'settled' }));
      expect(update).toMatchObject({
        outcome: 'aborted',
        refusedBy: null,
        reason: expect.stringMatching(/^one cannot be carried over: somebody else let its guest run/),
      });
      expect(update.phases.at(-1)?.phase).toBe('suspending');
      expect([vmm.guest.running, other.guest.running]).toEqual([true, true]);
      expect(vmm.guest.commands).not.toContain('cont');
      expect([vmm, other].map(({ guest }) => guest.settings)).toEqual([usualSettings, usualSettings]);
    },
  );

  it('is left behind where that is the policy and it is heard of in time', async () => {
    vmms.withDisk = true;
    const [vmm, other] = [await adopted('one'), await adopted('two')];
    host.syncPlace = async () => {
      if (vmm.guest.running || other.guest.running) return;
      vmm.guest.goOn();
      // The agent reads its sockets meanwhile.
      for (let turn = 0; turn < 20; turn += 1) await setImmediate();
    };
    const plan = await planOf(host, client, { ifMachineFails: 'leave' });
    await runToKexec(host, client, { plan });
    expect([vmm.guest.running, other.guest.running]).toEqual([true, false]);
    const { machines } = await arrive();
    expect(machines).toMatchObject([
      { name: 'two', stage: 'resumed' },
      {
        name: 'one',
        stage: 'left_behind',
        detail: expect.stringContaining('somebody else let its guest run'),
      },
    ]);
  });
});
