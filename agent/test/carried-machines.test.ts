// SPDX-License-Identifier: Apache-2.0
/**
 * A live update of the whole agent whose machines a carrier has begun to bring back (`src/update/arrive/carrier/`), on a
 * made-up host.
 */
import { appendFileSync } from 'node:fs';
import { native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { unitNameOf } from '../src/adoption/restore.ts';
import type { AgentClient } from '../src/client/index.ts';
import type { Update } from '../src/interface/agent.generated.ts';
import { lives, MadeUpCarrier } from '../src/update/arrive/carrier/made-up-carrier.fixture.ts';
import { allWell, carry as carryMachine } from './carry.ts';
import { MadeUpHost } from './made-up-host.ts';
import { type MadeUpVmm, MadeUpVmms } from './made-up-vmms.ts';
import { entriesOf, memfdWith, runToKexec, startSettled } from './scenario.ts';

let host: MadeUpHost;
let vmms: MadeUpVmms;
let carrier: MadeUpCarrier;
let client: AgentClient;
let vmm: MadeUpVmm;
/** Units that the agent started, in order. */
let started: string[];

beforeEach(async () => {
  host = new MadeUpHost();
  vmms = new MadeUpVmms(host);
  carrier = new MadeUpCarrier(host.paths);
  started = [];
  const { starter } = host;
  if (starter)
    host.starter = {
      ...starter,
      resume: async (machine, ...given) => {
        started.push(unitNameOf(machine));
        await starter.resume(machine, ...given);
      },
    };
  client = await host.start();
  vmm = await vmms.start('one', 'named_memory');
  await client.call('AdoptMachine', { pid: vmm.pid });
  await runToKexec(host, client);
  host.becomeNextKernel();
  await vmms.endAll();
});

afterEach(async () => {
  vi.restoreAllMocks();
  await vmms.endAll();
  await carrier.dispose();
  host.dispose();
});

const session = 'machine:one';

/** What the carrier did for the one machine. */
const carry = (...given: Parameters<typeof carryMachine> extends [unknown, ...infer Rest] ? Rest : never) =>
  carryMachine({ host, vmms, carrier, vmm }, ...given);

const newest = async (): Promise<Update> => {
  const [update] = (await client.call('ListUpdates', {})).updates;
  if (!update) throw new Error(`no update was settled: ${host.log.join('\n')}`);
  return update;
};

async function arrive(): Promise<Update> {
  client = await startSettled(host);
  return await newest();
}

describe('a machine that the carrier brought back', () => {
  it('runs on in its unit, is not loaded again, and has the times of the carrier', async () => {
    const { keeper, holder, saved } = await carry('running', 'running', allWell);
    const { pid } = vmm;
    const update = await arrive();
    expect(update.outcome, update.reason).toBe('updated');
    const detail = 'it runs; the carrier brought it back';
    expect(update.machines).toMatchObject([{ stage: 'resumed', newPid: pid, detail }]);
    expect([started, vmms.attached]).toEqual([[], ['one']]);
    expect(vmm.guest).toMatchObject({ running: true, loaded: null });
    expect(await Promise.all([keeper.ended, holder.ended])).toEqual(['SIGKILL', 'SIGKILL']);
    const [run] = update.machines;
    const parts = run?.parts.map(({ part, durationUs }) => [part, durationUs]);
    expect(parts?.map(([part]) => part)).toEqual([
      'save',
      'kexec',
      'boot',
      'retrieve',
      'start',
      'load',
      'resume',
    ]);
    expect(parts?.slice(3)).toEqual([
      ['retrieve', 2],
      ['start', 5],
      ['load', 5],
      ['resume', 8],
    ]);
    const last = run?.parts.at(-1);
    expect(run?.blackoutUs).toBe((last?.startedAtUs ?? 0) + (last?.durationUs ?? 0));
    expect(update.blackoutUs).toBe(run?.blackoutUs);
    const at = (phase: string): number =>
      update.phases.find((each) => each.phase === phase)?.startedAtUs ?? 0;
    const ranAtUs = (saved.suspendedAtUs ?? 0) + (run?.blackoutUs ?? 0);
    expect([at('resuming'), at('finishing')]).toEqual([ranAtUs - 18, ranAtUs]);
    const [entry] = await entriesOf(client, 'machine.resumed', update.id);
    expect(entry).toMatchObject({
      message: `one: ${detail}`,
      parameters: { newPid: pid, broughtBackBy: 'carrier' },
    });
    // Its session is the agent's, as after any update.
    expect((await client.call('GetSession', { name: session })).session.direction).toBe('outgoing');
  });

  it('has what it waited for and the time of each instruction in the record, and in the journal', async () => {
    await carry('running', 'running', (bornNs) => [
      ...allWell(bornNs).slice(0, 2),
      { ns: bornNs + 2000, machine: 0, event: 'waits', text: 'for /srv/slow to be mounted' },
      { ns: bornNs + 3000, machine: 0, event: 'mounted', text: '/srv/slow' },
      ...allWell(bornNs).slice(2),
    ]);
    const update = await arrive();
    const [run] = update.machines;
    const start = run?.parts.find(({ part }) => part === 'start');
    const wait = { what: '/srv/slow to be mounted', startedAtUs: start?.startedAtUs ?? -1, durationUs: 1 };
    expect(run).toMatchObject({ stage: 'resumed', waits: [wait], failedAt: null });
    const [entry] = await entriesOf(client, 'machine.resumed', update.id);
    const mounted = { what: 'mounted /srv/slow', times: 1, doneAtUs: wait.startedAtUs + 1 };
    expect(entry?.parameters).toMatchObject({ waits: [wait], failedAt: null, instructions: [mounted] });
    expect(run?.instructions).toEqual([mounted]);
  });

  it('has what the kernel’s boot took time for in the record, and it is that machine’s part *boot*', async () => {
    await carry('running', 'running', allWell);
    const records = [
      [40, 'mem auto-init: x'],
      [9020, 'SLUB: y'],
      [40_000, 'Run /usr/lib/luo-console-agent/carrier as init process'],
    ] as const;
    const text = records.map(([us, said], at) => `6,${100 + at},${us},-;${said}\n`).join('');
    appendFileSync(host.paths.kernelLog, text);
    const { bootStretches, machines } = await arrive();
    expect(bootStretches).toEqual([
      { what: 'finding preserved memory, giving out the rest', startedAtUs: 40, durationUs: 8980 },
      {
        what: 'until "Run /usr/lib/luo-console-agent/carrier as init process"',
        ...{ startedAtUs: 9020, durationUs: 30_980 },
      },
      { what: 'the rest', startedAtUs: null, durationUs: 40 },
    ]);
    expect(machines[0]?.parts.map(({ part }) => part)).toContain('userspace');
  });

  it('and that somebody has paused since is left so', async () => {
    await carry('running', 'running', allWell);
    vmm.guest.pause();
    const update = await arrive();
    expect(update.outcome, update.reason).toBe('updated');
    const detail = 'it has run, and its state is "paused" now; the carrier brought it back';
    expect(update.machines).toMatchObject([{ stage: 'resumed', newPid: vmm.pid, detail }]);
    expect(vmm.guest.running).toBe(false);
  });

  it('runs although it cannot be put into its unit', async () => {
    await carry('running', 'running', allWell);
    const { starter } = host;
    if (starter) host.starter = { ...starter, adopt: () => Promise.reject(new Error('no room')) };
    const update = await arrive();
    expect(update.machines).toMatchObject([{ stage: 'resumed', newPid: vmm.pid }]);
    expect(host.log).toContainEqual(
      expect.stringContaining(`warning a machine runs, and its VMM is in no unit {"session":"${session}"`),
    );
  });

  it('whose worker failed after its guest had been told to run is told once more', async () => {
    await carry('running', 'failed', (bornNs) => [
      ...allWell(bornNs).slice(0, -1),
      { ns: bornNs + 15_000, machine: 0, event: 'failed', text: 'until: no answer in 60 s' },
    ]);
    const update = await arrive();
    expect(update.machines).toMatchObject([{ stage: 'resumed', newPid: vmm.pid }]);
    expect(update.machines[0]?.parts.map(({ part }) => part)).toContain('resume');
    expect([started, vmm.guest.running, vmm.guest.loaded]).toEqual([[], true, null]);
    expect(host.log).toContainEqual(
      `warning the carrier failed with a machine {"session":"${session}","problem":"until: no answer in 60 s"}`,
    );
  });

  it('is found by the agent that is started after one died in the middle of it', async () => {
    const { holder } = await carry('running', 'running', allWell);
    // Both sessions are in the store, and their file has not been asked for.
    await host.launch({ at: 5, when: 'before' });
    const kept = ['pidfdGetfd', 'pidfdGetfd', 'notify', 'notify', 'notify'];
    expect(host.process?.calls).toEqual([...kept, 'retrieveFd']);
    expect(await holder.ended).toBe('SIGKILL');
    host.kill();
    const update = await arrive();
    expect(update.outcome, update.reason).toBe('updated');
    expect(update.machines).toMatchObject([
      { stage: 'resumed', newPid: vmm.pid, detail: 'it runs; the carrier brought it back' },
    ]);
    expect(started).toEqual([]);
  });

  it('stays in the hands of the carrier where what is kept already leaves no room for its sessions', async () => {
    const { holder } = await carry('running', 'running', allWell);
    host.manager.kept.set(`f-${Buffer.from('another').toString('hex')}-1`, memfdWith('a file'));
    host.places = 2;
    client = await host.start();
    expect(host.log).toContainEqual(
      expect.stringMatching(/^error the carrier is left alone.*keeps 2 descriptors and has 1/),
    );
    expect(lives(holder)).toBe(true);
  });

  it('is seen to wait by people whose calls are answered meanwhile, and its monitor is left alone', async () => {
    const { finish } = await carry(
      ...(['starting', 'running'] as const),
      (bornNs) => [
        ...allWell(bornNs).slice(0, 3),
        { ns: bornNs + 4000, machine: 0, event: 'waits', text: 'for /srv/slow to be mounted' },
      ],
      'working',
    );
    client = await host.start();
    const said = host.manager.messages;
    const detail = 'it waits for /srv/slow to be mounted';
    const saying = `STATUS=phase resuming, 1 sessions; bringing machines back: one: ${detail}`;
    await vi.waitUntil(() => said.includes(saying));
    expect(said.indexOf('READY=1')).toBeLessThan(said.indexOf(saying));
    const news = client.stream('FollowUpdate', {})[Symbol.asyncIterator]();
    expect((await news.next()).value).toMatchObject({
      progress: {
        ...{
          phase: 'resuming',
          step: `resume:${session}`,
          message: `bringing machines back: one: ${detail}`,
        },
        machines: [{ name: 'one', stage: 'starting', detail, newPid: null }],
      },
    });
    await news.return?.();
    // Its VMM listens there, and the carrier would be kept out.
    const { machine } = await client.call('GetMachine', { pid: vmm.pid });
    expect(machine).toMatchObject({ monitor: 'busy', session: null });
    await expect(client.call('AdoptMachine', { pid: vmm.pid })).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.WrongPhase',
    });
    finish('running');
    await host.agent?.settled;
    const update = await newest();
    expect(update.outcome, update.reason).toBe('updated');
    expect(update.machines).toMatchObject([{ stage: 'resumed', newPid: vmm.pid }]);
    expect([started, vmm.guest.loaded]).toEqual([[], null]);
    // The agent has asked it how its guest is, and the VMM may not have seen yet that it is through with that.
    await vi.waitFor(async () => {
      const looked = await client.call('GetMachine', { pid: vmm.pid });
      expect(looked.machine).toMatchObject({ monitor: 'answered', session });
    });
  });

  it('is waited for although the index cannot be read, and nothing is settled before', async () => {
    const { finish, damageIndex } = await carry(
      ...(['starting', 'running'] as const),
      (bornNs) => allWell(bornNs).slice(0, 3),
      'working',
    );
    damageIndex();
    client = await host.start();
    let settled = false;
    const settling = host.agent?.settled.then(() => {
      settled = true;
    });
    expect((await client.call('GetMachine', { pid: vmm.pid })).machine).toMatchObject({ monitor: 'busy' });
    expect([settled, (await client.call('GetStatus', {})).status.phase]).toEqual([false, 'retrieving']);
    finish('running');
    await settling;
    expect(await newest()).toMatchObject({ outcome: 'unknown', machines: [{ stage: 'held' }] });
  });

  it('is left alone by an agent that is started once more in this boot', async () => {
    await carry('running', 'running', allWell);
    const { outcome, id } = await arrive();
    host.kill();
    expect(await arrive()).toMatchObject({ outcome, id });
    expect((await client.call('GetMachine', { pid: vmm.pid })).machine).toMatchObject({ name: 'one' });
    expect([started, vmm.guest.running]).toEqual([[], true]);
  });
});

describe('a machine that the carrier did not bring back', () => {
  it('has its VMM ended before it is tried again, and then runs', async () => {
    await carry('starting', 'failed', (bornNs) => [
      ...allWell(bornNs).slice(0, 4),
      { ns: bornNs + 9000, machine: 0, event: 'failed', text: 'play: the stream broke' },
    ]);
    const { child, pid } = vmm;
    const { starter } = host;
    let livedAtStop: boolean | null = null;
    if (starter)
      host.starter = {
        ...starter,
        stop: async (name) => {
          livedAtStop ??= lives({ pid });
          await starter.stop(name);
        },
      };
    const ended = new Promise((resolve) => child.once('exit', (_code, signal) => resolve(signal)));
    const update = await arrive();
    expect(await ended).toBe('SIGKILL');
    // The unit has nothing of it, so stopping that would not have been enough.
    expect(livedAtStop).toBe(false);
    expect(update.outcome, update.reason).toBe('updated');
    expect(update.machines).toMatchObject([{ stage: 'resumed', newPid: vmm.pid, detail: 'it runs' }]);
    expect(vmm.pid).not.toBe(pid);
    expect(vmm.guest).toMatchObject({ running: true, loaded: 'device state' });
    expect([started, vmms.attached]).toEqual([['one'], []]);
    expect(host.log).toContainEqual(
      `warning the carrier failed with a machine {"session":"${session}","problem":"play: the stream broke"}`,
    );
    const [entry] = await entriesOf(client, 'machine.resumed', update.id);
    expect(entry).toMatchObject({ parameters: { broughtBackBy: 'agent' } });
  });

  it('and whose VMM has ended since is held if its guest may have run', async () => {
    await carry('running', 'running', allWell);
    await vmms.end(vmm);
    vmms.failing.add('one');
    const update = await arrive();
    expect(update.machines).toMatchObject([{ stage: 'held', newPid: null }]);
    expect(started).toEqual([]);
    const [entry] = await entriesOf(client, 'machine.held', update.id);
    expect(entry).toMatchObject({ parameters: { broughtBackBy: null } });
  });
});
