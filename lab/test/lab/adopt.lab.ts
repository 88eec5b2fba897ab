// SPDX-License-Identifier: Apache-2.0
/**
 * Machines that somebody started by hand, one for each way of carrying over. They are adopted while they run and go
 * through two live updates, one right after the other. The guests count. Their output says whether any of them lost,
 * repeated or forgot anything.
 */
import type { AgentClient } from '@luo-console/agent/client';
import type { Machine, Way } from '@luo-console/agent/interface';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import { expectUnharmed, type Guest, installGuests, type Memory, startGuest } from '../support/guest.ts';
import { connect, freshHost } from '../support/host.ts';
import { run } from '../support/memory.ts';
import { askQemu, settingsOf } from '../support/monitor.ts';
import { abortInGrace, blackoutLine, carryOut, expectWholeBlackout, planFor } from '../support/update.ts';

const allMachines: readonly { name: string; memory: Memory; way: Way; unlinks: string[] }[] = [
  { name: 'fast', memory: 'shared', way: 'cpr', unlinks: [] },
  { name: 'named', memory: 'named', way: 'named_memory', unlinks: ['/dev/shm/named'] },
  { name: 'handed', memory: 'inherited', way: 'named_memory', unlinks: [] },
  { name: 'whole', memory: 'private', way: 'whole_state', unlinks: [] },
];

describe('machines started by hand', () => {
  let host: LabHost;
  let agent: AgentClient;
  const guests = new Map<string, Guest>();

  beforeAll(async () => {
    host = await freshHost('adopt', { reuse: true });
    await installGuests(host);
    agent = await connect(host);
    for (const { name, memory } of allMachines) {
      guests.set(name, await startGuest(host, { name, kind: 'bare', memory }));
    }
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
  const machine = async (name: string): Promise<Machine> => {
    const found = (await machines()).find((each) => each.name === name);
    if (!found) throw new Error(`there is no machine ${name}`);
    return found;
  };

  it('are found with the way that their command lines allow', async () => {
    await expectUnharmed(host, [...guests.values()]);
    for (const { name, way, unlinks } of allMachines) {
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

  it.each(allMachines)('are adopted while they run: $name, $way', async ({ name, way, unlinks }) => {
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
    const settings = () => Promise.all(allMachines.map(({ name }) => settingsOf(host, name)));
    const before = await settings();
    const plan = await planFor(agent, '-b');
    expect(plan.machines.map(({ name, way, leave }) => ({ name, way, leave }))).toEqual(
      expect.arrayContaining(allMachines.map(({ name, way }) => ({ name, way, leave: false }))),
    );
    const update = await abortInGrace(host, agent, plan);
    expect(update).toMatchObject({
      outcome: 'aborted',
      reason: expect.stringContaining('a test calls it off'),
    });
    for (const { name } of allMachines) {
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
    expect((await machines()).map(({ session }) => session)).toEqual(allMachines.map(() => null));
    expect(await run(host, 'readlink /dev/shm/named')).toContain(`/proc/${guest('named').pid}/fd/`);
    for (const { name } of allMachines)
      await agent.call('AdoptMachine', { pid: guest(name).pid, unlink: true });
    await expectUnharmed(host, [...guests.values()]);
  });

  it('stay adopted when the agent is killed', async () => {
    agent.close();
    await run(host, 'systemctl kill -s KILL luo-console-agent');
    agent = await connect(host);
    for (const { name, way } of allMachines) {
      expect(await machine(name)).toMatchObject({ pid: guest(name).pid, way, session: `machine:${name}` });
    }
  });

  it('are not preserved where their memory would come back sealed against writing', async () => {
    // For everything that is started from now on, and for the files of the agent in the update that follows.
    await run(host, 'sysctl -w vm.memfd_noexec=1');
    const handed = await startGuest(host, { name: 'sealed-handed', kind: 'bare', memory: 'inherited' });
    const own = await startGuest(host, { name: 'sealed-own', kind: 'bare', memory: 'shared' });
    await expectUnharmed(host, [handed, own]);
    await expect(agent.call('AdoptMachine', { pid: handed.pid })).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.MachineUnusable',
      parameters: {
        pid: handed.pid,
        name: 'sealed-handed',
        reason: expect.stringMatching(/F_SEAL_EXEC.*vm\.memfd_noexec/),
      },
    });
    // QEMU can save this one whole: its memory is copied.
    const { machine: adopted } = await agent.call('AdoptMachine', { pid: own.pid });
    expect(adopted).toMatchObject({
      way: 'whole_state',
      wayReason: expect.stringMatching(/F_SEAL_EXEC.*vm\.memfd_noexec/),
    });
    await run(host, `kill ${handed.pid}`);
    guests.set('sealed-own', own);
  });

  it.each([
    { to: '-b', noexec: 1 },
    { to: '-a', noexec: 2 },
  ])('go through a live update to $to under vm.memfd_noexec=$noexec and count on', async ({ to, noexec }) => {
    // Neither may seal the files that the agent makes for the next kernel, which begins with 0 again.
    await run(host, `sysctl -w vm.memfd_noexec=${noexec}`);
    const before = await machines();
    const plan = await planFor(agent, to);
    const done = await carryOut(host, agent, plan);
    agent = done.agent;
    const { update } = done;
    console.log(update.machines.map(blackoutLine).join('\n'));
    // Once at the beginning, and once more right before the machines were stopped.
    const { entries } = await agent.call('QueryJournal', { name: 'kernel.load', update: update.id });
    const loads = entries.filter(({ kind, ok }) => kind === 'result' && ok);
    console.log(`loaded in ${loads.map(({ durationUs }) => `${durationUs} µs`).join(', ')}`);
    expect(loads).toHaveLength(2);
    expect(update).toMatchObject({
      outcome: 'updated',
      toRelease: expect.stringMatching(new RegExp(`${to}$`)),
    });
    for (const { name, way } of allMachines) {
      const ran = update.machines.find((each) => each.name === name);
      if (!ran) throw new Error(`nothing is said of ${name}`);
      expect(ran).toMatchObject({ way, pid: before.find((each) => each.name === name)?.pid });
      expectWholeBlackout(ran);
      const now = await machine(name);
      expect(now).toMatchObject({
        pid: ran.newPid,
        way,
        state: 'running',
        session: `machine:${name}`,
        unlinks: [],
      });
      const [capabilities] = await askQemu(host, name, [{ execute: 'query-migrate-capabilities' }]);
      expect(capabilities).toContainEqual({ capability: 'x-ignore-shared', state: false });
      expect(capabilities).toContainEqual({ capability: 'events', state: false });
    }
    expect(update.blackoutUs).toBeGreaterThanOrEqual(
      Math.max(...update.machines.map((each) => each.blackoutUs ?? 0)),
    );
    const reports = await expectUnharmed(host, [...guests.values()], 64);
    console.log(
      reports
        .map(
          ({ lines, largestGapNs, largestGapAt }) =>
            `${lines} counts, gap ${largestGapNs} ns before ${largestGapAt}`,
        )
        .join('\n'),
    );
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
