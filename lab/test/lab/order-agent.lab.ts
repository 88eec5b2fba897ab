// SPDX-License-Identifier: Apache-2.0
/**
 * The order on a real kernel, through the agent. Machines have devices that need one another. They are preserved in an
 * order that the driver accepts, and undone in reverse. A cycle is named. Each refusal on the way is named with its
 * phase and errno, and nothing is lost that had to be kept.
 */
import type { AgentClient } from '@luo-console/agent/client';
import type { Machine } from '@luo-console/agent/interface';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { setSwitch, startWithDevices, statesOf, whatWasCalled } from '../support/device-guest.ts';
import { connect, freshHost } from '../support/host.ts';
import { run } from '../support/memory.ts';
import { planFor, runPlan } from '../support/update.ts';

const deviceNames = ['memory0', 'iommu0', 'device0'];
const allPreserved = ['preserved', 'preserved', 'preserved'];
const allIdle = ['idle', 'idle', 'idle'];
/** EREMOTEIO: nothing but the driver says it. */
const chosenErrno = '121';

describe('the order of a machine’s devices', () => {
  let host: LabHost;
  let agent: AgentClient;
  let pid: number;

  beforeAll(async () => {
    host = await freshHost('order-agent', { reuse: true });
    agent = await connect(host);
    pid = await startWithDevices(host, 'scrambled', { 300: 'device0', 301: 'memory0', 302: 'iommu0' });
  });
  afterAll(async () => {
    await agent?.close();
    await host?.down();
  });

  const machine = async (): Promise<Machine> => (await agent.call('GetMachine', { pid })).machine;
  const sessionNames = async (): Promise<string[]> =>
    (await agent.call('ListSessions', {})).sessions.map(({ name }) => name);

  it('is known from what the driver says, and drawn', async () => {
    const devices = (await machine()).descriptors.filter(({ kind }) => kind === 'device');
    expect(devices).toMatchObject([
      { fd: 300, name: '/dev/luo_lab/device0', dependsOn: [302], fate: 'preservable', source: 'rule' },
      { fd: 301, name: '/dev/luo_lab/memory0', dependsOn: [], fate: 'preservable' },
      { fd: 302, name: '/dev/luo_lab/iommu0', dependsOn: [301], fate: 'preservable' },
    ]);
    const { graph } = await agent.call('ListMachines', {});
    const labels = graph.order.map((id) => graph.nodes.find((node) => node.id === id)?.label);
    expect(labels.filter((label) => deviceNames.includes(label ?? ''))).toEqual(deviceNames);
    expect(labels.at(-1)).toBe('scrambled');
    expect(graph.cycle).toEqual([]);
  });

  it('is not left to chance: another one is refused, and it says which device is missing', async () => {
    await agent.call('CreateSession', { name: 'by-hand' });
    const attempt = agent.call('PreserveFromProcess', { session: 'by-hand', pid, fd: 300 });
    await expect(attempt).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.KernelCallFailed',
      parameters: {
        errno: 'ENXIO',
        message: expect.stringMatching(/device0: ENXIO.* device0 preserve: -6 \(iommu0 is not preserved\)"/),
      },
    });
    expect((await agent.call('GetSession', { name: 'by-hand' })).session.descriptors).toEqual([]);
    await agent.call('CloseSession', { name: 'by-hand' });
  });

  it('cannot be found in a cycle, which is named', async () => {
    await setSwitch(host, 'memory0', 'needs', 'device0');
    const { graph } = await agent.call('ListMachines', {});
    expect(graph.order).toEqual([]);
    const cycle = graph.cycle.map((id) => graph.nodes.find((node) => node.id === id)?.label);
    expect(cycle).toEqual(['device0', 'iommu0', 'memory0', 'device0']);
    const { calls } = await whatWasCalled(host, () =>
      expect(agent.call('AdoptMachine', { pid })).rejects.toMatchObject({
        error: 'io.luoconsole.Agent.DependencyCycle',
        parameters: {
          cycle: [
            'device0 (descriptor 300)',
            'iommu0 (descriptor 302)',
            'memory0 (descriptor 301)',
            'device0 (descriptor 300)',
          ],
        },
      }),
    );
    expect(calls).toEqual([]);
    expect(await sessionNames()).toEqual([]);
    await setSwitch(host, 'memory0', 'needs', 'none');
  });

  it('is undone in reverse when a device refuses to be preserved, which is named with its errno', async () => {
    await setSwitch(host, 'device0', 'preserve_error', chosenErrno);
    await setSwitch(host, 'iommu0', 'preserve_delay_ms', '600');
    const { calls } = await whatWasCalled(host, () =>
      expect(agent.call('AdoptMachine', { pid })).rejects.toMatchObject({
        error: 'io.luoconsole.Agent.KernelCallFailed',
        parameters: {
          errno: 'EREMOTEIO',
          message: expect.stringMatching(/\/dev\/luo_lab\/device0: EREMOTEIO.*\(as switched\)/),
        },
      }),
    );
    expect(calls).toEqual([
      'memory0 preserve',
      'iommu0 preserve',
      'device0 preserve: -121 (as switched)',
      'iommu0 unpreserve',
      'memory0 unpreserve',
    ]);
    expect(await sessionNames()).toEqual([]);
    expect(await machine()).toMatchObject({ session: null, state: 'running' });
    await setSwitch(host, 'device0', 'preserve_error', '0');
    await setSwitch(host, 'iommu0', 'preserve_delay_ms', '0');
  });

  it('is accepted by the driver, and undone in reverse when the machine is released', async () => {
    const adopted = await whatWasCalled(host, () => agent.call('AdoptMachine', { pid }));
    expect(adopted.calls).toEqual(deviceNames.map((device) => `${device} preserve`));
    expect(await sessionNames()).toEqual([adopted.result.machine.session]);
    expect(await statesOf(host, deviceNames)).toEqual(allPreserved);
    const preserved = (await machine()).descriptors.filter(({ kind }) => kind === 'device');
    expect(preserved.map(({ session }) => session)).toEqual(Array(3).fill(adopted.result.machine.session));

    const released = await whatWasCalled(host, () => agent.call('ReleaseMachine', { pid }));
    expect(released.calls).toEqual(deviceNames.toReversed().map((device) => `${device} unpreserve`));
    expect(await sessionNames()).toEqual([]);
    expect(await statesOf(host, deviceNames)).toEqual(allIdle);
  });

  it('lets the machine run on when a device refuses to be frozen, which the outcome names', async () => {
    const { session } = (await agent.call('AdoptMachine', { pid })).machine;
    await setSwitch(host, 'iommu0', 'freeze_error', chosenErrno);
    await setSwitch(host, 'iommu0', 'freeze_delay_ms', '600');
    const bootId = await host.bootId();
    const { update } = await runPlan(host, agent, await planFor(agent, '-b'));
    expect(update).toMatchObject({
      outcome: 'returned',
      refusedBy: {
        session,
        label: expect.stringContaining('/dev/luo_lab/iommu0'),
        handler: 'luo-lab-iommu-v1',
        phase: 'kexec',
        errno: 'EREMOTEIO',
      },
      reason: expect.stringMatching(/iommu0 .* refused to be frozen.*EREMOTEIO.*nothing is lost/),
      machines: [{ name: 'scrambled', pid, stage: 'running' }],
    });
    // It was stopped for as long as the device was told to take, and runs on since.
    expect(update.machines[0]?.blackoutUs).toBeGreaterThanOrEqual(600_000);
    expect(update.carried.map(({ verdict }) => verdict)).not.toContain('missing');
    expect(await host.bootId()).toBe(bootId);
    expect(await machine()).toMatchObject({ session, state: 'running' });
    expect(await statesOf(host, deviceNames)).toEqual(allPreserved);
    await setSwitch(host, 'iommu0', 'freeze_error', '0');
    await setSwitch(host, 'iommu0', 'freeze_delay_ms', '0');
    await agent.call('ReleaseMachine', { pid });
  });

  it('is restored in the next kernel, with what refused there named and nothing else lost', async () => {
    const other = await startWithDevices(host, 'other', { 300: 'iommu1', 301: 'device1', 302: 'memory1' });
    const third = await startWithDevices(host, 'third', { 300: 'device2', 301: 'memory2', 302: 'iommu2' });
    for (const device of ['memory0', 'iommu0', 'memory1', 'device1', 'iommu2', 'device2'])
      await run(host, `printf 'in ${device}' > /dev/luo_lab/${device}`);
    const sessions: (string | null)[] = [];
    for (const each of [pid, other, third])
      sessions.push((await agent.call('AdoptMachine', { pid: each })).machine.session);
    const [scrambled = '', stuck = '', orphaned = ''] = sessions;
    // A device, one that others need, and one that cannot be finished.
    await setSwitch(host, 'device0', 'retrieve_error', chosenErrno);
    await setSwitch(host, 'memory2', 'retrieve_error', '5');
    await setSwitch(host, 'memory1', 'retrieve_delay_ms', '600');
    await setSwitch(host, 'iommu1', 'finish_error', '16');
    await setSwitch(host, 'memory1', 'finish_delay_ms', '600');

    const arrived = await runPlan(host, agent, await planFor(agent, '-b'));
    ({ agent } = arrived);
    const { update } = arrived;
    expect(update.outcome).toBe('updated');
    expect((await run(host, 'uname -r')).trim()).toMatch(/-b$/);
    expect(update.machines.map(({ name, stage }) => `${name} ${stage}`).sort()).toEqual([
      'other resumed',
      'scrambled resumed',
      'third resumed',
    ]);
    expect(update.refusedBy).toMatchObject({ session: scrambled, phase: 'retrieving', errno: 'EREMOTEIO' });

    const missing = update.carried.filter(({ verdict }) => verdict === 'missing');
    expect(missing.map(({ session, label, reason }) => [session, label.split('/').at(-1), reason])).toEqual([
      [scrambled, 'device0', expect.stringMatching(/could not be retrieved: EREMOTEIO$/)],
      [orphaned, 'memory2', expect.stringMatching(/could not be retrieved: EIO$/)],
    ]);
    expect(update.reason).toContain('2 of');
    expect(update.reason).toMatch(/iommu1 finish: -16 \(as switched\)/);
    expect(update.reason).toContain('EBUSY');
    // The contents are unchanged, though one device of each machine was lost.
    for (const device of ['memory0', 'iommu0', 'memory1', 'device1', 'iommu2', 'device2'])
      expect(await run(host, `cat /dev/luo_lab/${device}`)).toBe(`in ${device}`);

    // The session that could not be finished is complete. It can be finished once the device allows it.
    const held = (await agent.call('GetSession', { name: stuck ?? '' })).session;
    expect(held.direction).toBe('incoming');
    const labels = held.descriptors.map(({ label }) => label.split('/').at(-1));
    expect(labels.slice(-3)).toEqual(['memory1', 'iommu1', 'device1']);
    await setSwitch(host, 'iommu1', 'finish_error', '0');
    const finished = await whatWasCalled(host, () => agent.call('FinishSession', { name: stuck ?? '' }));
    expect(finished.result.session.direction).toBe('outgoing');
    expect(finished.result.session.descriptors.length).toBe(held.descriptors.length);
    expect(finished.calls).toEqual([
      'device1 finish',
      'iommu1 finish',
      'memory1 finish',
      'memory1 preserve',
      'iommu1 preserve',
      'device1 preserve',
    ]);
    // Its memory is protected again, though the devices that need the lost one cannot be.
    const orphan = (await agent.call('GetSession', { name: orphaned ?? '' })).session;
    expect(orphan.direction).toBe('outgoing');
    expect(orphan.descriptors.some(({ label }) => label.startsWith('memory of third'))).toBe(true);
    expect(update.reason).toMatch(/will not come through another live update: .*iommu2: ENXIO/);
  });
});
