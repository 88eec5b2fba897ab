// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { serveAgent } from '../client/fake-agent.fixture.ts';
import type { Machine, MachineDescriptor } from '../interface/agent.generated.ts';
import { AgentInterface } from '../interface/agent.generated.ts';
import { interfaceError } from '../varlink/index.ts';
import { luoctl } from './luoctl.fixture.ts';

const memory: MachineDescriptor = {
  fd: 8,
  duplicates: [],
  kind: 'memfd',
  name: '/memfd:ram (deleted)',
  size: 67_108_864,
  inode: 70,
  guestMemory: true,
  pciAddress: null,
  dependsOn: [],
  sharedWith: [101],
  fate: 'preservable',
  reason: 'the kernel has a handler for it',
  source: 'kernel',
  errno: null,
  session: null,
  token: null,
};
const eventfd: MachineDescriptor = {
  ...memory,
  fd: 11,
  kind: 'eventfd',
  name: 'anon_inode:[eventfd]',
  size: null,
  inode: null,
  guestMemory: false,
  sharedWith: [],
  fate: 'rebuilt',
  reason: 'a new one',
};
const vfio: MachineDescriptor = {
  ...eventfd,
  fd: 20,
  kind: 'vfio_device',
  name: '/dev/vfio/devices/vfio0',
  pciAddress: '0000:01:00.0',
  dependsOn: [21],
  fate: 'blocks',
};
const machine: Machine = {
  name: 'one',
  pid: 100,
  user: 'root',
  command: 'qemu-system-x86',
  vmm: 'QEMU',
  version: '11.1.3',
  vcpus: 2,
  memory: 134_217_728,
  memoryInFiles: 67_108_864,
  state: 'running',
  accelerator: 'tcg',
  monitor: 'answered',
  monitorPath: '/run/q',
  monitorDetail: '',
  sharesMemoryWith: [101],
  descriptors: [memory, eventfd, { ...eventfd, fd: 12 }, { ...eventfd, fd: 13 }, vfio],
  otherDescriptors: 4,
};
const handlers = {
  ListMachines: async () => ({ machines: [machine, { ...machine, pid: 101, name: 'two\u001b[2J' }] }),
  GetMachine: async ({ pid }: { pid: number }) => {
    if (pid === 100) return { machine };
    throw interfaceError(AgentInterface, 'NotAMachine', { pid, command: 'sh' });
  },
};

describe('luoctl machines', () => {
  it('lists them, what blocks first', async () => {
    const { address } = serveAgent(handlers);
    const { status, stdout } = await luoctl(['machines', '--host', address]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^one +100 +QEMU 11\.1\.3 +tcg +2 +128 MiB, 64 MiB in files +running +answered/m);
    expect(stdout).toContain('1 blocks, 3 rebuilt, 1 preservable');
    expect(stdout).toContain('two\\x1b[2J');
  });

  it('shows one by pid or by name, descriptors alike in one row', async () => {
    const { address } = serveAgent(handlers);
    const byPid = await luoctl(['machines', '100', '--host', address]);
    const byName = await luoctl(['machines', 'one', '--host', address]);
    expect(byPid.stdout).toBe(byName.stdout);
    expect(byPid.stdout).toMatch(/^Shares memory with +pid 101$/m);
    expect(byPid.stdout).toMatch(/^8 +memfd +64 MiB +70 .*shared with pid 101 +preservable +kernel/m);
    expect(byPid.stdout).toMatch(/^11 and 2 more +eventfd/m);
    expect(byPid.stdout).toMatch(/device 0000:01:00\.0; needs 21 +blocks/);
  });

  it('gives programs everything', async () => {
    const { address } = serveAgent(handlers);
    expect((await luoctl(['--json', 'machines', '100', '--host', address])).json).toEqual([{ machine }]);
    const [all] = (await luoctl(['--json', 'machines', '--host', address])).json;
    expect(all).toMatchObject({ machines: [{ pid: 100 }, { pid: 101 }] });
  });

  it('says what is no machine', async () => {
    const { address } = serveAgent(handlers);
    const shell = await luoctl(['machines', '7', '--host', address]);
    expect(shell).toMatchObject({ status: 1, stderr: 'luoctl: process 7 (sh) is not a virtual machine\n' });
    const nobody = await luoctl(['machines', 'three', '--host', address]);
    expect(nobody.stderr).toContain('machine "three": there is none of that name');
    const none = serveAgent({ ListMachines: async () => ({ machines: [] }) });
    expect((await luoctl(['machines', '--host', none.address])).stdout).toBe('No virtual machines.\n');
  });
});
