// SPDX-License-Identifier: Apache-2.0
/**
 * Machines that cannot be saved, and an agent that dies while other machines are stopped. A VMM stopped by a signal
 * stands for one that hangs. It answers nothing, and goes on where it was once the signal is taken back.
 */
import type { AgentClient } from '@luo-console/agent/client';
import type { MachineStage, Update } from '@luo-console/agent/interface';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import { expectUnharmed, type Guest, guestsDirectory, installGuests, startGuest } from '../support/guest.ts';
import { connect, freshHost, waitForNeeds } from '../support/host.ts';
import { run } from '../support/memory.ts';
import { hangAtStop } from '../support/monitor.ts';
import { carryOut, expectWholeBlackout, planFor, settled } from '../support/update.ts';

describe('a machine that cannot be saved', () => {
  let host: LabHost;
  let agent: AgentClient;
  let sound: Guest;
  let hanging: Guest;

  beforeAll(async () => {
    host = await freshHost('failing-machines', { reuse: true });
    await installGuests(host);
    agent = await connect(host);
    sound = await startGuest(host, { name: 'sound', kind: 'bare', memory: 'shared' });
    hanging = await startGuest(host, {
      name: 'hanging',
      kind: 'bare',
      memory: 'private',
      secondMonitor: true,
    });
    await expectUnharmed(host, [sound, hanging]);
    for (const { pid } of [sound, hanging]) await agent.call('AdoptMachine', { pid });
  });
  afterAll(async () => {
    agent?.close();
    await host?.down();
  });
  afterEach((context) => showLogsOfFailed(context, host));

  const hang = () => run(host, `kill -STOP ${hanging.pid}`);
  const goOn = () => run(host, `kill -CONT ${hanging.pid}`);

  /** Runs an update, and calls `seen` once with the stage of the sound machine when `when` holds of it. */
  async function runUntil(
    when: (stage: MachineStage, graceEndsAtUs: number | null) => boolean,
    seen: () => Promise<void>,
  ) {
    const plan = await planFor(agent, '-b', { ifMachineFails: 'stop' });
    let id = '';
    let told = false;
    for await (const { progress } of agent.stream('RunUpdate', { plan: plan.id, graceSeconds: 3 })) {
      id = progress.update;
      const stage = progress.machines.find(({ name }) => name === 'sound')?.stage ?? 'waiting';
      if (told || !when(stage, progress.graceEndsAtUs)) continue;
      told = true;
      await seen();
    }
    return id;
  }

  it('is named, and every machine runs on, if that was asked for', async () => {
    const id = await runUntil(
      (_stage, grace) => grace !== null,
      async () => void (await hang()),
    );
    const update: Update = await settled(agent, id);
    expect(update).toMatchObject({ outcome: 'aborted' });
    expect(update.reason).toContain('hanging cannot be saved');
    expect(update.machines.find(({ name }) => name === 'sound')).toMatchObject({ stage: 'running' });
    await expectUnharmed(host, [sound]);
    await goOn();
    await expectUnharmed(host, [hanging]);
    expect((await agent.call('GetStatus', {})).status).toMatchObject({ phase: 'normal', loadedKernel: null });
  });

  it('does not keep the others stopped when the agent dies in the middle', async () => {
    await hangAtStop(host, hanging);
    const running = runUntil(
      (stage) => stage === 'saved',
      async () => void (await run(host, 'systemctl kill -s KILL luo-console-agent')),
    );
    await expect(running).rejects.toThrow();
    agent.close();
    agent = await connect(host);
    await expectUnharmed(host, [sound]);
    await goOn();
    await expectUnharmed(host, [hanging]);
    const { updates } = await agent.call('ListUpdates', { limit: 1 });
    expect(updates).toMatchObject([{ outcome: 'aborted' }]);
    const { machines } = await agent.call('ListMachines', {});
    expect(machines.map(({ name, session, state }) => [name, session, state]).sort()).toEqual([
      ['hanging', 'machine:hanging', 'running'],
      ['sound', 'machine:sound', 'running'],
    ]);
  });

  it('runs, with the others, before an agent ends that is told to in the middle', async () => {
    await hangAtStop(host, hanging);
    const running = runUntil(
      (stage) => stage === 'saved',
      async () => {
        const stopping = run(host, 'systemctl stop luo-console-agent.socket luo-console-agent.service');
        await goOn();
        await stopping;
      },
    );
    await running.catch(() => {});
    // Nobody is there who could still let them run.
    expect((await run(host, 'systemctl is-active luo-console-agent.service || true')).trim()).toBe(
      'inactive',
    );
    await expectUnharmed(host, [sound, hanging]);
    await run(host, 'systemctl start luo-console-agent.socket luo-console-agent.service');
    agent.close();
    agent = await connect(host);
    const { updates } = await agent.call('ListUpdates', { limit: 1 });
    expect(updates).toMatchObject([
      { outcome: 'aborted', reason: expect.stringContaining('the agent was told to end (SIGTERM)') },
    ]);
  });

  it('is not forgotten: an update does not begin unless it is adopted or left behind by choice', async () => {
    await agent.call('ReleaseMachine', { pid: hanging.pid });
    const plan = await planFor(agent, '-b');
    expect(plan.runnable).toBe(false);
    expect(plan.checks.find(({ name }) => name === 'machines')).toMatchObject({
      verdict: 'fail',
      detail: expect.stringContaining(`hanging (pid ${hanging.pid})`),
    });
    await agent.call('AdoptMachine', { pid: hanging.pid });
  });

  it('is not adopted if a file that its VMM needs does not outlive the kernel', async () => {
    await run(host, `cp ${guestsDirectory}/guest-bare /run/kernel`);
    const transient = await startGuest(host, {
      name: 'transient',
      kind: 'bare',
      memory: 'shared',
      kernel: '/run/kernel',
    });
    await expect(agent.call('AdoptMachine', { pid: transient.pid })).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.MachineUnusable',
      parameters: { pid: transient.pid, reason: expect.stringContaining('/run/kernel') },
    });
    await run(host, 'systemctl stop vm-transient');
  });

  it('is left behind, one whose VMM does not start again is held, the rest runs, and it goes on when it is tried again', async () => {
    const kernel = `${guestsDirectory}/kernel-of-doomed`;
    await run(host, `cp ${guestsDirectory}/guest-bare ${kernel}`);
    const doomed = await startGuest(host, { name: 'doomed', kind: 'bare', memory: 'shared', kernel });
    await agent.call('AdoptMachine', { pid: doomed.pid });
    await run(host, `rm ${kernel}`);
    const plan = await planFor(agent, '-b', { ifMachineFails: 'leave' });
    await hang();
    const done = await carryOut(host, agent, plan);
    agent = done.agent;
    expect(done.update).toMatchObject({ outcome: 'updated' });
    const byName = new Map(done.update.machines.map((machine) => [machine.name, machine]));
    expect(byName.get('hanging')).toMatchObject({ stage: 'left_behind', newPid: null, blackoutUs: null });
    expect(byName.get('hanging')?.detail).toContain('hanging cannot be saved');
    const resumed = byName.get('sound');
    if (!resumed) throw new Error('the outcome says nothing of "sound"');
    expectWholeBlackout(resumed);
    await expectUnharmed(host, [sound]);
    const held = byName.get('doomed');
    expect(held).toMatchObject({ stage: 'held', newPid: null, blackoutUs: null });
    expect(done.update.reason).toContain('doomed is held');
    const { sessions } = await agent.call('ListSessions', {});
    expect(sessions.map(({ name }) => name)).toEqual(['machine:doomed', 'machine:sound']);
    const labels = sessions[0]?.descriptors.map(({ label }) => label) ?? [];
    expect(labels.some((label) => label.startsWith('memory of doomed'))).toBe(true);
    const kept = ['record of a machine that does not run', 'state of a machine that does not run'];
    expect(labels).toEqual(expect.arrayContaining(kept));
    // What it needs is there again: it goes on at the next count, also after a restart of the agent.
    await run(
      host,
      `cp ${guestsDirectory}/guest-bare ${kernel} && systemctl restart luo-console-agent.service`,
    );
    agent.close();
    agent = await connect(host);
    expect((await agent.call('ListHeldMachines', {})).machines).toMatchObject([
      { session: 'machine:doomed', name: 'doomed', problem: null },
    ]);
    const { machine } = await agent.call('RetryMachine', { session: 'machine:doomed' });
    expect(machine).toMatchObject({ name: 'doomed', session: 'machine:doomed' });
    await expectUnharmed(host, [sound, doomed]);
    expect((await agent.call('ListHeldMachines', {})).machines).toEqual([]);
    expect((await agent.call('ListMachines', {})).machines.map(({ name }) => name).sort()).toEqual([
      'doomed',
      'sound',
    ]);
  });

  it('whose disk has moved is held through another update, and goes on with the new path', async () => {
    const [disk, moved] = ['/srv/data/disk', '/srv/elsewhere/disk'];
    // A mount that no boot makes: then the disk is in its other place only. QEMU opens it once more to save the machine,
    // so it cannot move before that.
    await run(
      host,
      `mkdir -p /srv/data /srv/elsewhere && truncate -s 1M ${moved} && mount --bind /srv/elsewhere /srv/data`,
    );
    agent = await waitForNeeds(host, agent, 10);
    const guest = await startGuest(host, { name: 'moved', kind: 'bare', memory: 'shared', spareDisk: disk });
    await expectUnharmed(host, [guest]);
    await agent.call('AdoptMachine', { pid: guest.pid });

    for (const [number, release] of ['-a', '-b'].entries()) {
      const done = await carryOut(host, agent, await planFor(agent, release));
      agent = done.agent;
      expect(done.update, done.update.reason).toMatchObject({ outcome: 'updated' });
      const stages = Object.fromEntries(done.update.machines.map(({ name, stage }) => [name, stage]));
      const others = { doomed: 'resumed', sound: 'resumed' };
      // The second one has nothing to do with it.
      expect(stages).toEqual(number === 0 ? { ...others, moved: 'held' } : others);
      if (number === 0)
        expect(done.update.machines.find(({ name }) => name === 'moved')?.detail).toMatch(
          /7 attempts; the last one: .* it still waited for \/srv\/data to be mounted/s,
        );
      expect((await agent.call('ListHeldMachines', {})).machines).toMatchObject([
        {
          session: 'machine:moved',
          problem: null,
          names: expect.arrayContaining([{ name: disk, kind: 'disk', option: '-drive file' }]),
        },
      ]);
    }

    const retry = (next: string | null) =>
      agent.call('RetryMachine', {
        session: 'machine:moved',
        changes: next === null ? null : [{ old: disk, new: next }],
      });
    await expect(retry(null)).rejects.toMatchObject({ error: 'io.luoconsole.Agent.MachineUnusable' });
    await expect(retry('/srv/nowhere')).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.InvalidValue',
      parameters: { value: '/srv/nowhere', expected: 'a path that exists on the host' },
    });
    const { machine } = await retry(moved);
    expect(machine).toMatchObject({ name: 'moved', session: 'machine:moved', state: 'running' });
    expect(await run(host, `tr '\\0' '\\n' < /proc/${machine.pid}/cmdline`)).toContain(
      `file=${moved},format=raw`,
    );
    await expectUnharmed(host, [sound, { name: 'doomed', log: `${guestsDirectory}/doomed.log` }, guest]);
    expect((await agent.call('ListHeldMachines', {})).machines).toEqual([]);
  });
});
