// SPDX-License-Identifier: Apache-2.0
/**
 * Machines that somebody started by hand, one for each way of carrying over. They are adopted while they run and go
 * through a live update. The guests count. Their output says whether any of them lost, repeated or forgot anything.
 * `npm run test:conformance` has another update right after that one.
 */
import type { AgentClient } from '@luo-console/agent/client';
import type { Machine } from '@luo-console/agent/interface';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import {
  adoptSealed,
  machineNamed,
  machinesOfAllWays,
  startAllWays,
  updateAllWays,
} from '../support/four-ways.ts';
import { expectUnharmed, type Guest, installGuests, startGuest } from '../support/guest.ts';
import { connect, freshHost } from '../support/host.ts';
import { run } from '../support/memory.ts';
import { askQemu, settingsOf } from '../support/monitor.ts';
import { abortInGrace, planFor } from '../support/update.ts';

describe('machines started by hand', () => {
  let host: LabHost;
  let agent: AgentClient;
  let guests = new Map<string, Guest>();

  beforeAll(async () => {
    host = await freshHost('adopt', { reuse: true });
    await installGuests(host);
    agent = await connect(host);
    guests = await startAllWays(host);
  });
  afterAll(async () => {
    agent?.close();
    await host?.down();
  });
  afterEach((context) => showLogsOfFailed(context, host));

  const guest = (name: string): Guest => {
    const found = guests.get(name);
    if (!found) throw new Error(`there is no guest ${name}`);
    return found;
  };
  const machines = async (): Promise<Machine[]> => (await agent.call('ListMachines', {})).machines;
  const machine = (name: string): Promise<Machine> => machineNamed(agent, name);

  it('are found with the way that their command lines allow', async () => {
    await expectUnharmed(host, [...guests.values()]);
    for (const { name, way, unlinks } of machinesOfAllWays) {
      // A monitor that has not answered in time is asked again.
      await expect
        .poll(() => machine(name), { timeout: 120_000, interval: 1000 })
        .toMatchObject({ pid: guest(name).pid, state: 'running', way, unlinks, session: null });
      const found = await machine(name);
      expect(found.wayReason).not.toBe('');
      expect(found.expectedBlackoutUs).toBeGreaterThan(0);
    }
  });

  it('are not adopted at the price of a name that nobody has allowed to take away', async () => {
    const { pid } = guest('named');
    await expect(agent.call('AdoptMachine', { pid })).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.MachineUnusable',
      parameters: { pid, name: 'named', reason: expect.stringContaining('/dev/shm/named') },
    });
    expect((await run(host, `stat -c %i /dev/shm/named /proc/${pid}/root/dev/shm/named`)).trim()).toMatch(
      /^(\d+)\n\1$/,
    );
    expect((await agent.call('ListSessions', {})).sessions).toEqual([]);
  });

  it.each(machinesOfAllWays)('are adopted while they run: $name, $way', async ({ name, way, unlinks }) => {
    const { pid } = guest(name);
    const adopted = (await agent.call('AdoptMachine', { pid, unlink: unlinks.length > 0 })).machine;
    const session = `machine:${name}`;
    expect(adopted).toMatchObject({ name, pid, way, state: 'running', session, unlinks: [] });
    for (const path of unlinks) expect((await host.sh(`test -e ${path}`)).code).toBe(1);
    const { descriptors } = (await agent.call('GetSession', { name: session })).session;
    expect(descriptors.length > 0).toBe(way !== 'whole_state');
    await expectUnharmed(host, [guest(name)]);
  });

  it('are released as they were, with a link in place of a name that was taken away', async () => {
    const { pid } = guest('named');
    expect((await agent.call('ReleaseMachine', { pid })).machine).toMatchObject({
      session: null,
      state: 'running',
    });
    const link = (await run(host, 'readlink /dev/shm/named')).trim();
    expect(link).toMatch(new RegExp(`^/proc/${pid}/fd/\\d+$`));
    expect((await run(host, 'stat -L -c %s /dev/shm/named')).trim()).toBe(`${16 << 20}`);
    await expect(agent.call('GetSession', { name: 'machine:named' })).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.SessionNotFound',
    });
    await agent.call('AdoptMachine', { pid, unlink: true });
    await expectUnharmed(host, [guest('named')]);
  });

  it('run on when an update is aborted, stay adopted, and have the migration settings of before', async () => {
    const settings = () => Promise.all(machinesOfAllWays.map(({ name }) => settingsOf(host, name)));
    const before = await settings();
    const plan = await planFor(agent, '-b');
    expect(plan.machines.map(({ name, way, leave }) => ({ name, way, leave }))).toEqual(
      expect.arrayContaining(machinesOfAllWays.map(({ name, way }) => ({ name, way, leave: false }))),
    );
    const update = await abortInGrace(host, agent, plan);
    expect(update).toMatchObject({
      outcome: 'aborted',
      reason: expect.stringContaining('a test calls it off'),
    });
    for (const { name } of machinesOfAllWays) {
      expect(await machine(name)).toMatchObject({
        pid: guest(name).pid,
        state: 'running',
        session: `machine:${name}`,
      });
    }
    expect(await settings()).toEqual(before);
    await expectUnharmed(host, [...guests.values()]);
  });

  it('can be saved to a file by their owners after that, as ever', async () => {
    for (const name of ['fast', 'named']) {
      await askQemu(host, name, [{ execute: 'migrate', arguments: { uri: `file:/run/${name}.saved` } }]);
      await expect
        .poll(() => askQemu(host, name, [{ execute: 'query-migrate' }]), { timeout: 60_000 })
        .toMatchObject([{ status: 'completed' }]);
      await askQemu(host, name, [{ execute: 'cont' }]);
    }
    await expectUnharmed(host, [...guests.values()]);
  });

  it('have their names back when an update is aborted with all sessions, and are released', async () => {
    await abortInGrace(host, agent, await planFor(agent, '-b'), { closeSessions: true });
    expect((await machines()).map(({ session }) => session)).toEqual(machinesOfAllWays.map(() => null));
    expect(await run(host, 'readlink /dev/shm/named')).toContain(`/proc/${guest('named').pid}/fd/`);
    for (const { name } of machinesOfAllWays)
      await agent.call('AdoptMachine', { pid: guest(name).pid, unlink: true });
    await expectUnharmed(host, [...guests.values()]);
  });

  it('stay adopted when the agent is killed', async () => {
    agent.close();
    await run(host, 'systemctl kill -s KILL luo-console-agent');
    agent = await connect(host);
    for (const { name, way } of machinesOfAllWays) {
      expect(await machine(name)).toMatchObject({ pid: guest(name).pid, way, session: `machine:${name}` });
    }
  });

  it('are not preserved where their memory would come back sealed against writing', async () => {
    // For everything that is started from now on, and for the files of the agent in the update that follows.
    await run(host, 'sysctl -w vm.memfd_noexec=1');
    const handed = await startGuest(host, { name: 'sealed-handed', kind: 'bare', memory: 'inherited' });
    await expectUnharmed(host, [handed]);
    await expect(agent.call('AdoptMachine', { pid: handed.pid })).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.MachineUnusable',
      parameters: {
        pid: handed.pid,
        name: 'sealed-handed',
        reason: expect.stringMatching(/F_SEAL_EXEC.*vm\.memfd_noexec/),
      },
    });
    guests.set('sealed-own', await adoptSealed(host, agent, 'sealed-own'));
    await run(host, `kill ${handed.pid}`);
  });

  it('go through a live update to -b under vm.memfd_noexec=1 and count on', async () => {
    agent = await updateAllWays(host, agent, [...guests.values()], { to: '-b', noexec: 1 });
  });

  it('can be released afterwards, and end as machines do', async () => {
    const { pid } = await machine('fast');
    expect((await agent.call('ReleaseMachine', { pid })).machine).toMatchObject({ session: null });
    await expectUnharmed(host, [guest('fast')]);
    for (const name of ['whole', 'sealed-own']) await run(host, `kill ${(await machine(name)).pid}`);
    await expect
      .poll(async () => (await agent.call('ListSessions', {})).sessions.map(({ name }) => name).sort(), {
        timeout: 60_000,
      })
      .toEqual(['machine:handed', 'machine:named']);
  });
});
