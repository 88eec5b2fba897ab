// SPDX-License-Identifier: Apache-2.0
/**
 * The order on a real kernel, through the agent: machines that have devices which need one another are preserved in
 * an order that the driver accepts and undone in reverse, a cycle is named, and whatever refuses on the way is named
 * with its phase and errno, without anything being lost that was to be kept.
 */
import type { AgentClient } from '@luo-console/agent/client';
import type { Machine } from '@luo-console/agent/interface';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { contentsOf, setSwitch, startWithDevices, statesOf, whatWasCalled } from '../support/device-guest.ts';
import { connect, freshHost } from '../support/host.ts';
import { run } from '../support/memory.ts';

const DEVICES = ['memory0', 'iommu0', 'device0'];
/** EREMOTEIO: nothing but the driver says it. */
const CHOSEN = '121';

describe('the order of a machine’s devices', () => {
  let host: LabHost;
  let agent: AgentClient;
  let pid: number;

  beforeAll(async () => {
    host = await freshHost('order-agent');
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
    expect(labels.filter((label) => DEVICES.includes(label ?? ''))).toEqual(DEVICES);
    expect(labels.at(-1)).toBe('scrambled');
    expect(graph.cycle).toEqual([]);
  });

  it('refuses another one, and says which device is missing', async () => {
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
});
