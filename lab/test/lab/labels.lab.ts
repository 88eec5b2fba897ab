// SPDX-License-Identifier: Apache-2.0
/**
 * A machine whose VMM a profile of AppArmor confines, beside one that nothing confines. The host's boot loads the profile
 * late, so the carrier waits for it with that machine only. A profile that no boot loads costs the machine no more than
 * time, and its VMM never runs without it. One that does not let the VMM take its state is refused before.
 */
import type { AgentClient } from '@luo-console/agent/client';
import type { MachineRun, Update } from '@luo-console/agent/interface';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import { expectUnharmed, type Guest, installGuests, startGuest } from '../support/guest.ts';
import { connect, freshHost, waitForNeeds } from '../support/host.ts';
import { run } from '../support/memory.ts';
import { blackoutLine, broughtBackBy, carryOut, expectWholeBlackout, planFor } from '../support/update.ts';

const label = 'luo-lab-vmm (enforce)';
const waited = `the security profile ${label}`;

/** Nearly anything may be done under it: what is tested is that it is there. */
const profile = (name: string, more = ''): string =>
  `profile ${name} flags=(attach_disconnected) { file, network, unix, capability, signal, ptrace, ${more} }`;
const fileOf = (name: string): string => `/etc/apparmor.d/${name}`;

/** Writes a profile where a boot loads it, and loads it. */
const load = (host: LabHost, name: string, more?: string): Promise<string> =>
  run(host, `echo '${profile(name, more)}' > ${fileOf(name)} && apparmor_parser --replace ${fileOf(name)}`);

const labelOf = async (host: LabHost, pid: number | null): Promise<string> =>
  (await run(host, `cat /proc/${pid}/attr/apparmor/current`)).trim();

describe('of two machines, one whose VMM is confined', () => {
  let host: LabHost;
  let agent: AgentClient;
  const guests: Guest[] = [];

  beforeAll(async () => {
    const reuse = 'their kernel runs with AppArmor';
    host = await freshHost('labels', { reuse, kernelArguments: ['lsm=apparmor'] });
    await installGuests(host);
    await load(host, 'luo-lab-vmm');
    agent = await connect(host);
    const options = { kind: 'bare', memory: 'shared' } as const;
    guests.push(await startGuest(host, { ...options, name: 'free' }));
    const confinement = ['AppArmorProfile=luo-lab-vmm'];
    guests.push(await startGuest(host, { ...options, name: 'confined', confinement }));
    for (const { pid } of guests) await agent.call('AdoptMachine', { pid, unlink: null });
  });
  afterAll(async () => {
    agent?.close();
    await host?.down();
  });
  afterEach((context) => showLogsOfFailed(context, host));

  const waitFor = ({ waits }: MachineRun) => (waits ?? []).find(({ what }) => what === waited);

  /** Goes into the other kernel. */
  async function goTo(
    releaseEnd: string,
  ): Promise<{ update: Update; free: MachineRun; confined: MachineRun }> {
    const plan = await planFor(agent, releaseEnd);
    expect(plan.checks.find(({ name }) => name === 'arrival')).toMatchObject({
      verdict: 'pass',
      detail: expect.stringContaining(`confined waits for ${waited}`),
    });
    expect(plan.checks.find(({ name }) => name === 'privileges')).toMatchObject({ verdict: 'pass' });
    const from = await host.serialPosition();
    const done = await carryOut(host, agent, plan);
    agent = done.agent;
    console.log(done.update.machines.map(blackoutLine).join('\n'));
    expect(done.update).toMatchObject({ outcome: 'updated' });
    await host.waitForSerial(/luo: machine:confined waits for the security profile luo-lab-vmm \(enforce\)/, {
      from,
    });
    const [free, confined] = ['free', 'confined'].map((name) =>
      done.update.machines.find((machine) => machine.name === name),
    );
    if (!free || !confined) throw new Error('the outcome does not name both machines');
    return { update: done.update, free, confined };
  }

  it('shows the profile among what that one needs', async () => {
    const [free, confined] = guests;
    if (!free || !confined) throw new Error('a guest is missing');
    expect([await labelOf(host, free.pid), await labelOf(host, confined.pid)]).toEqual(['unconfined', label]);
    const { machine } = await agent.call('GetMachine', { pid: confined.pid });
    expect(machine).toMatchObject({ needs: expect.arrayContaining([waited]), obstacle: null });
    const other = await agent.call('GetMachine', { pid: free.pid });
    expect(other.machine.needs).not.toContain(waited);
  });

  it('refuses one whose profile does not let it take its state', async () => {
    await load(host, 'luo-lab-narrow', 'deny /run/luo-carrier/** w,');
    const confinement = ['AppArmorProfile=luo-lab-narrow'];
    const narrow = await startGuest(host, { kind: 'bare', memory: 'shared', name: 'narrow', confinement });
    await agent.call('AdoptMachine', { pid: narrow.pid, unlink: null });
    const { checks, runnable } = await planFor(agent, '-b');
    expect(runnable).toBe(false);
    expect(checks.find(({ name }) => name === 'privileges')).toMatchObject({
      verdict: 'fail',
      detail: expect.stringContaining(
        'narrow cannot be started again with the rights that it has: its security profile luo-lab-narrow (enforce) does not let it make /run/luo-carrier/0/main',
      ),
    });
    await agent.call('ReleaseMachine', { pid: narrow.pid });
    await run(host, `systemctl stop vm-narrow && rm ${fileOf('luo-lab-narrow')}`);
  });

  it('that one is started under its profile once that is loaded, and the other does not wait', async () => {
    const { update, free, confined } = await goTo('-b');
    for (const machine of [free, confined]) expectWholeBlackout(machine);
    expect(await broughtBackBy(agent, update)).toEqual({ free: 'carrier', confined: 'carrier' });
    expect(await run(host, 'cat /proc/cmdline')).toContain('lsm=apparmor');
    expect([await labelOf(host, free.newPid), await labelOf(host, confined.newPid)]).toEqual([
      'unconfined',
      label,
    ]);
    expect(confined.detail).toBe('it runs; the carrier brought it back');
    const wait = waitFor(confined);
    console.log(`confined waited for its profile for ${wait?.durationUs} µs`);
    expect(wait?.durationUs).toBeGreaterThan(0);
    expect(waitFor(free)).toBeUndefined();
    expect(confined.blackoutUs ?? 0).toBeGreaterThan(free.blackoutUs ?? Number.POSITIVE_INFINITY);
    const shown = await run(host, `luocon history ${update.id}`);
    expect(shown).toContain(waited);
    await expectUnharmed(host, guests);
  });

  it('that one is held if no boot loads its profile, and runs under it once it is loaded', async () => {
    agent = await waitForNeeds(host, agent, 10);
    await run(host, `rm ${fileOf('luo-lab-vmm')}`);
    const { update, free, confined } = await goTo('-a');
    expectWholeBlackout(free);
    expect(confined).toMatchObject({ stage: 'held', newPid: null, blackoutUs: null });
    expect(confined.detail).toContain(`s it still waited for ${waited}`);
    expect(confined.failedAt).toBe(`profile ${label}`);
    expect(update.reason).toContain('confined is held');
    // Not one of the attempts has started a VMM.
    expect((await run(host, 'pgrep --full --count "[-]name confined" || true')).trim()).toBe('0');
    const problem = await agent.call('RetryMachine', { session: 'machine:confined' }).catch(String);
    expect(problem).toContain(`still waited for ${waited}`);
    await load(host, 'luo-lab-vmm');
    const { machine } = await agent.call('RetryMachine', { session: 'machine:confined' });
    expect(await labelOf(host, machine.pid)).toBe(label);
    await expectUnharmed(host, guests);
  });
});
