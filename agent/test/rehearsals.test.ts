// SPDX-License-Identifier: Apache-2.0
/** Rehearsals as the agent offers them: who gets one, what is kept of it, what a plan makes of it, and that updates come first. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import type { Check, Plan } from '../src/interface/agent.generated.ts';
import { MadeUpHost } from './made-up-host.ts';
import { type MadeUpVmm, MadeUpVmms } from './made-up-vmms.ts';
import { rehearsalsLog, runToKexec } from './scenario.ts';

let host: MadeUpHost;
let vmms: MadeUpVmms;
let client: AgentClient;

beforeEach(async () => {
  host = new MadeUpHost();
  vmms = new MadeUpVmms(host);
  const script = join(host.directory, 'wait.sh');
  writeFileSync(script, 'read line\n');
  vmms.begin = [script];
  client = await host.start();
});

afterEach(async () => {
  await vmms.endAll();
  host.dispose();
});

const logs = (...events: [event: string, text: string][]): void => rehearsalsLog(host, ...events);

async function adopted(): Promise<MadeUpVmm> {
  const vmm = await vmms.start('one', 'cpr');
  await client.call('AdoptMachine', { pid: vmm.pid });
  return vmm;
}

const rehearse = async ({ pid }: MadeUpVmm) => (await client.call('RehearseMachine', { pid })).rehearsal;

const kept = async () => (await client.call('ListMachines', {})).machines[0]?.rehearsal;

async function planned(despite: number[] = []): Promise<{ plan: Plan; check: Check | undefined }> {
  const kernel = join(host.paths.boot, 'vmlinuz-7.3.4-b');
  const { plan } = await client.call('MakePlan', { kernel, despite });
  return { plan, check: plan.checks.find(({ name }) => name === 'rehearsal') };
}

const problem = 'it ended: no such disk';

describe('a machine', () => {
  it('has the result of its last rehearsal, which the journal has too', async () => {
    const vmm = await adopted();
    expect((await planned()).check).toMatchObject({ verdict: 'warn', detail: 'one has not been rehearsed' });
    logs(['starting', ''], ['failed', problem]);
    expect(await rehearse(vmm)).toMatchObject({ problem, startUs: null, loadUs: null });
    logs(['starting', ''], ['loading', '']);
    const result = await rehearse(vmm);
    expect(result).toMatchObject({ problem: null, startUs: expect.any(Number), loadUs: null });
    expect(vmm.guest.commands).not.toContain('stop');
    const { machines } = await client.call('ListMachines', {});
    expect(machines[0]?.rehearsal).toEqual(result);
    const { entries } = await client.call('QueryJournal', { name: 'machine.rehearse', ascending: true });
    expect(entries.filter(({ kind }) => kind === 'result').map(({ parameters }) => parameters)).toMatchObject(
      [
        { name: 'one', problem },
        { name: 'one', problem: null },
      ],
    );
  });

  it('whose rehearsal failed is in no plan that can be run, until it passes or is named', async () => {
    const vmm = await adopted();
    logs(['starting', ''], ['failed', problem]);
    await rehearse(vmm);
    const { plan, check } = await planned();
    expect([plan.runnable, check?.verdict, check?.detail]).toEqual([
      false,
      'fail',
      expect.stringContaining(`one failed its rehearsal just now: ${problem}`),
    ]);
    expect(plan.machines).toMatchObject([{ name: 'one', rehearsal: { problem } }]);
    const named = await planned([vmm.pid]);
    expect([named.plan.runnable, named.check?.verdict]).toEqual([true, 'warn']);
    logs(['starting', ''], ['loading', '']);
    await rehearse(vmm);
    expect((await planned()).plan.runnable).toBe(true);
  });

  it('that is named is carried over, which the journal says', async () => {
    const vmm = await adopted();
    logs(['starting', ''], ['failed', problem]);
    await rehearse(vmm);
    const { plan } = await planned([vmm.pid]);
    await runToKexec(host, client, { plan, wait: 'announced', graceSeconds: 60 });
    const { entries } = await client.call('QueryJournal', { name: 'update.started' });
    await client.call('AbortUpdate', {});
    expect(entries.map(({ parameters }) => parameters)).toMatchObject([{ despite: [vmm.pid] }]);
  });

  it('that fails a rehearsal once the plan is made is not carried over by it', async () => {
    const vmm = await adopted();
    const { plan } = await planned();
    logs(['starting', ''], ['failed', problem]);
    await rehearse(vmm);
    await expect(runToKexec(host, client, { plan })).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.PlanNotRunnable',
      parameters: { reason: expect.stringContaining('rehearsal: one failed its rehearsal') },
    });
  });

  it('has no result any more with another agent, which could not know that it still counts', async () => {
    const vmm = await adopted();
    logs(['starting', ''], ['failed', problem]);
    await rehearse(vmm);
    host.kill();
    client = await host.start();
    expect((await client.call('ListMachines', {})).machines[0]?.rehearsal).toBeNull();
  });

  it('of which nothing could be found out is told so, and may be carried over', async () => {
    const vmm = await adopted();
    host.rehearsalUnits.run = async () => {
      throw new Error('no service manager');
    };
    expect(await rehearse(vmm)).toMatchObject({
      problem: null,
      startUs: null,
      left: ['no service manager'],
    });
    expect((await planned()).check).toMatchObject({
      verdict: 'warn',
      detail: 'one was not rehearsed: no service manager',
    });
  });

  it.each([
    ['passed', ['loading', '']],
    ['failed', ['failed', problem]],
  ] as const)(
    'that %s is not held to be otherwise because nothing could be found out later',
    async (_how, [event, text]) => {
      const vmm = await adopted();
      logs(['starting', ''], [event, text]);
      const result = await rehearse(vmm);
      const { check } = await planned();
      host.rehearsalUnits.run = async () => {
        throw new Error('no service manager');
      };
      expect(await rehearse(vmm)).toMatchObject({
        problem: null,
        startUs: null,
        left: ['no service manager'],
      });
      expect(await kept()).toEqual(result);
      expect((await planned()).check).toEqual(check);
    },
  );

  it('that cannot be asked is not rehearsed, and is not said to have failed', async () => {
    const vmm = await adopted();
    vmm.guest.hangUp();
    expect(await rehearse(vmm)).toMatchObject({
      problem: null,
      startUs: null,
      left: [expect.stringMatching(/^its monitor cannot be asked: /)],
    });
    expect((await planned()).check?.verdict).toBe('warn');
  });

  it('that is not adopted is not rehearsed', async () => {
    const vmm = await vmms.start('one', 'cpr');
    await expect(rehearse(vmm)).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.MachineUnusable',
      parameters: { reason: 'it is not adopted, so no update carries it over' },
    });
  });
});

it('what an agent before has left is ended at the start', async () => {
  let ended = 0;
  host.kill();
  const left = join(host.paths.runtime, 'handing-over/rehearsal-0');
  mkdirSync(left, { recursive: true });
  const over = new Promise<void>((resolve) => {
    host.rehearsalUnits.endAll = async () => {
      ended += 1;
      resolve();
    };
  });
  client = await host.start();
  await over;
  expect(ended).toBe(1);
  // It is removed behind that, and the next one waits for both.
  const vmm = await adopted();
  await rehearse(vmm);
  expect(existsSync(left)).toBe(false);
});

it('an update ends a rehearsal before it begins, and none begins under it', async () => {
  const vmm = await adopted();
  const { plan } = await planned();
  const ending: string[] = [];
  const running = Promise.withResolvers<void>();
  const started = new Promise<string>((resolve) => {
    host.rehearsalUnits.run = async ({ directory }) => {
      resolve(directory);
      await running.promise;
    };
  });
  host.rehearsalUnits.end = async (session) => {
    ending.push(session);
    running.resolve();
  };
  const other = await host.connect();
  const rehearsing = other.call('RehearseMachine', { pid: vmm.pid }).catch((error: unknown) => error);
  await started;
  await runToKexec(host, client, { plan, wait: 'announced', graceSeconds: 60 });
  expect(ending).toContain('machine:one');
  expect(await rehearsing).toMatchObject({
    error: 'io.luoconsole.Agent.MachineUnusable',
    parameters: { reason: 'its rehearsal was ended: an update begins' },
  });
  await expect(rehearse(vmm)).rejects.toMatchObject({ error: 'io.luoconsole.Agent.WrongPhase' });
  await client.call('AbortUpdate', {});
});
