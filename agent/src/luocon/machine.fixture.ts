// SPDX-License-Identifier: Apache-2.0
/** A machine as an agent describes one, with descriptors of each fate. */
import type { Machine, MachineDescriptor, OrderGraph } from '../interface/agent.generated.ts';

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
export const sampleMachine: Machine = {
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
  way: 'cpr',
  wayReason: 'its memory is shared and aux-ram-share is on',
  expectedBlackoutUs: 45_000,
  unlinks: [],
  session: null,
  definition: null,
  priority: null,
  consolePath: '/run/console',
  needs: null,
  obstacle: null,
  rehearsal: null,
};

/** Two machines that share the memory of the first. */
export const sampleGraph: OrderGraph = {
  nodes: [
    { id: 'm', kind: 'memory', label: 'ram', detail: '', pids: [100, 101] },
    { id: '100', kind: 'machine', label: 'one', detail: '', pids: [100] },
  ],
  edges: [{ from: '100', to: 'm', reason: 'its memory' }],
  order: ['m', '100'],
  cycle: [],
};
