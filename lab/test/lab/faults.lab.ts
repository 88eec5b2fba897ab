// SPDX-License-Identifier: Apache-2.0
/**
 * Faults while machines are stopped, on a real kernel: a VMM that is killed while it is saved, and a journal whose disk is
 * full. The other kinds are shown elsewhere. An agent that is killed and a VMM that hangs are in `failing-machines.lab.ts`, a
 * kernel that refuses is in `order-agent.lab.ts`. The agent's own tests have every fault at every wait (`agent/test/faults`).
 */
import type { AgentClient } from '@luo-console/agent/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import { expectUnharmed, type Guest, installGuests, startGuest } from '../support/guest.ts';
import { connect, freshHost } from '../support/host.ts';
import { run } from '../support/memory.ts';
import { hangAtStop } from '../support/monitor.ts';
import { planFor, settled } from '../support/update.ts';

const stateDirectory = '/var/lib/luo-console';
const filler = `${stateDirectory}/filler`;

describe('while machines are stopped', () => {
  let host: LabHost;
  let agent: AgentClient;
  let sound: Guest;

  beforeAll(async () => {
    host = await freshHost('faults', { reuse: true });
    await installGuests(host);
    const units = 'luo-console-agent.socket luo-console-agent.service';
    // A disk that is soon full. It ends with the boot.
    await run(
      host,
      `systemctl stop ${units} && mount -t tmpfs -o size=80M,mode=0700 journal ${stateDirectory} && systemctl start ${units}`,
    );
    agent = await connect(host);
    sound = await startGuest(host, { name: 'sound', kind: 'bare', memory: 'shared' });
    await expectUnharmed(host, [sound]);
    await agent.call('AdoptMachine', { pid: sound.pid });
  });
  afterAll(async () => {
    agent?.close();
    await host?.down();
  });
  afterEach((context) => showLogsOfFailed(context, host));

  /** Another machine, whose VMM hangs as soon as its guest is stopped. */
  async function hangingGuest(name: string): Promise<Guest> {
    const guest = await startGuest(host, { name, kind: 'bare', memory: 'private', secondMonitor: true });
    await expectUnharmed(host, [guest]);
    await agent.call('AdoptMachine', { pid: guest.pid });
    await hangAtStop(host, guest);
    return guest;
  }

  /** Runs an update, and does something once the sound machine is stopped and saved. @returns the update's id */
  async function whenSaved(work: () => Promise<unknown>): Promise<string> {
    const plan = await planFor(agent, '-b', { ifMachineFails: 'stop' });
    let id = '';
    let working: Promise<unknown> | null = null;
    for await (const { progress } of agent.stream('RunUpdate', { plan: plan.id })) {
      id = progress.update;
      const { stage } = progress.machines.find(({ name }) => name === 'sound') ?? {};
      if (stage === 'saved') working ??= work();
    }
    if (!working) throw new Error('the sound machine was not seen saved');
    await working;
    return id;
  }

  it('one whose VMM is killed ends the update, and the others run on', async () => {
    const doomed = await hangingGuest('doomed');
    const id = await whenSaved(() => run(host, `kill -KILL ${doomed.pid}`));
    const update = await settled(agent, id);
    expect(update).toMatchObject({ outcome: 'aborted', refusedBy: null });
    expect(update.reason).toContain('doomed cannot be saved');
    expect(update.machines.find(({ name }) => name === 'sound')).toMatchObject({ stage: 'running' });
    await expectUnharmed(host, [sound]);
    expect((await agent.call('ListSessions', {})).sessions.map(({ name }) => name)).toEqual([
      'machine:sound',
    ]);
    expect((await agent.call('GetStatus', {})).status).toMatchObject({ phase: 'normal', loadedKernel: null });
  });

  it('a full disk keeps no abort from letting them run, and what was done is written once there is room', async () => {
    const hanging = await hangingGuest('hanging');
    const other = await connect(host);
    const id = await whenSaved(async () => {
      await run(host, `dd if=/dev/zero of=${filler} bs=4096 2>/dev/null || true`);
      await expect(other.call('AbortUpdate', { reason: 'the disk is full' })).rejects.toMatchObject({
        error: 'io.luoconsole.Agent.DoneNotRecorded',
      });
    });
    await expectUnharmed(host, [sound]);
    // Its VMM has not heard of the abort yet.
    await run(host, `kill -CONT ${hanging.pid}`);
    await expectUnharmed(host, [sound, hanging]);
    const ended = { outcome: 'aborted', reason: expect.stringContaining('the disk is full') };
    expect((await other.call('GetUpdate', { id })).update).toMatchObject(ended);
    await run(host, `rm ${filler}`);
    const written: string[] = [];
    for await (const { entries } of other.stream('FollowJournal', { after: 0 })) {
      const ours = entries.filter(({ update }) => update === id);
      written.push(...ours.map(({ kind, name }) => `${kind} ${name}`));
      if (written.includes('result update.abort')) break;
    }
    expect(written).toContain('note update.settled');
    expect(await other.call('VerifyJournal', {})).toMatchObject({ intact: true });
    other.close();
  });
});
