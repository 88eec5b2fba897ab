// SPDX-License-Identifier: Apache-2.0
/** Machines, definitions and dependencies as an agent would describe them, for tests of the window alone. */
import type {
  HeldMachine,
  Machine,
  MachineDefinition,
  MachineDescriptor,
  MachineRun,
  OrderGraph,
  PlannedMachine,
} from '@luo-console/agent/interface';
import { planMachines } from '../../agent/src/update/plan/plan-machines.ts';
import { nowUs, second } from './fake-hosts.ts';

const MiB = 1024 * 1024;

export function machineDescriptor(more: Partial<MachineDescriptor>): MachineDescriptor {
  return {
    fd: 11,
    duplicates: [],
    kind: 'memfd',
    name: 'pc.ram',
    size: 2048 * MiB,
    inode: 4101,
    guestMemory: true,
    pciAddress: null,
    dependsOn: [],
    sharedWith: [],
    fate: 'preservable',
    reason: 'the kernel has a handler for it; the kernel keeps its pages, size and seals in place',
    source: 'kernel',
    errno: null,
    session: null,
    token: null,
    ...more,
  };
}

const kvmVm = machineDescriptor({
  fd: 9,
  kind: 'kvm_vm',
  name: 'anon_inode:kvm-vm',
  size: null,
  inode: null,
  guestMemory: false,
  fate: 'rebuilt',
  reason:
    'the kernel has no handler for it (ENOENT); the VMM saves the virtual machine with its state and rebuilds it from that',
  errno: 'ENOENT',
});
const tap = machineDescriptor({
  fd: 21,
  kind: 'tap',
  name: '/dev/net/tun',
  size: null,
  inode: 712,
  guestMemory: false,
  fate: 'rebuilt',
  reason: 'the VMM, or the program that started it, opens the interface again; packets in flight are lost',
  source: 'rule',
});

export function machine(more: Partial<Machine> = {}): Machine {
  return {
    name: 'web-01',
    pid: 2041,
    user: 'libvirt-qemu',
    command: 'qemu-system-x86',
    vmm: 'QEMU',
    version: '11.1.0',
    vcpus: 4,
    memory: 2048 * MiB,
    memoryInFiles: 2048 * MiB,
    state: 'running',
    accelerator: 'kvm',
    monitor: 'answered',
    monitorPath: '/run/vm/web-01.qmp',
    monitorDetail: '',
    sharesMemoryWith: [],
    descriptors: [
      machineDescriptor({
        reason: 'already preserved in session web-01 under token 0x1',
        session: 'web-01',
        token: '0x1',
      }),
      kvmVm,
      tap,
    ],
    otherDescriptors: 14,
    way: 'cpr',
    wayReason:
      'its memory is shared and aux-ram-share is on: QEMU 11.1.0 hands over its descriptors and takes them back (cpr-transfer)',
    expectedBlackoutUs: 240_000,
    unlinks: [],
    session: 'web-01',
    definition: 'web-01',
    priority: 0,
    consolePath: '/run/luo-console/machines/web-01.console',
    needs: [],
    obstacle: null,
    rehearsal: null,
    ...more,
  };
}

export function machines(): Machine[] {
  return [
    machine(),
    machine({
      name: 'db-02',
      pid: 2141,
      vcpus: 8,
      memory: 8192 * MiB,
      memoryInFiles: 8192 * MiB,
      way: 'named_memory',
      wayReason:
        'its memory is in a shared, named file, which is preserved; the rest of its state is saved beside it',
      expectedBlackoutUs: 1_900_000,
      unlinks: ['/dev/shm/db-02.ram', '/dev/shm/db-02.cache'],
      sharesMemoryWith: [2201],
      session: null,
      definition: null,
      priority: null,
      consolePath: null,
      needs: null,
      obstacle: null,
      rehearsal: null,
      descriptors: [
        machineDescriptor({
          fd: 12,
          kind: 'tmpfs_linked',
          name: '/dev/shm/db-02.ram',
          size: 8192 * MiB,
          fate: 'blocks',
          reason:
            'the kernel has no handler for it (EINVAL); guest memory in a tmpfs file that has a name; only unlinked ones are preserved',
          errno: 'EINVAL',
        }),
        machineDescriptor({
          fd: null,
          name: 'shared cache',
          size: 512 * MiB,
          sharedWith: [2201],
          duplicates: [17, 18],
          dependsOn: [12],
        }),
        kvmVm,
      ],
    }),
    machine({
      name: 'old-03',
      pid: 2201,
      version: '7.2.0',
      accelerator: 'tcg',
      vcpus: 1,
      memory: 512 * MiB,
      memoryInFiles: 0,
      state: 'paused',
      way: 'none',
      wayReason: 'its monitor cannot be asked: another client is connected to it',
      expectedBlackoutUs: null,
      session: null,
      definition: null,
      priority: null,
      consolePath: null,
      needs: null,
      obstacle: null,
      rehearsal: null,
      monitor: 'busy',
      monitorDetail: 'another client is connected to it',
      descriptors: [tap],
    }),
  ];
}

export function heldMachine(more: Partial<HeldMachine> = {}): HeldMachine {
  return {
    session: 'mail-04',
    name: 'mail-04',
    way: 'cpr',
    size: 2048 * MiB,
    problem: null,
    names: [],
    ...more,
  };
}

export function definitions(): MachineDefinition[] {
  const folder = '/etc/luo-console/machines';
  return [
    {
      name: 'web-01',
      path: `${folder}/web-01.json`,
      problem: null,
      description: 'Web front',
      vcpus: 4,
      memory: 2048 * MiB,
      pid: 2041,
    },
    {
      name: 'build-09',
      path: `${folder}/build-09.json`,
      problem: null,
      description: 'Builds at night',
      vcpus: 2,
      memory: 1024 * MiB,
      pid: null,
    },
    {
      name: 'broken-07',
      path: `${folder}/broken-07.json`,
      problem: 'member "memory" is "lots"; expected a whole number from 1 to 16777216',
      description: '',
      vcpus: null,
      memory: null,
      pid: null,
    },
  ];
}

export function orderGraph(more: Partial<OrderGraph> = {}): OrderGraph {
  return {
    nodes: [
      { id: 'm1', kind: 'machine', label: 'web-01', detail: 'QEMU 11.1.0, pid 2041', pids: [2041] },
      { id: 'm2', kind: 'machine', label: 'db-02', detail: 'QEMU 11.1.0, pid 2141', pids: [2141] },
      {
        id: 'f1',
        kind: 'memory',
        label: 'pc.ram',
        detail: 'memfd, 2048 MiB, descriptor 11, preservable: pc.ram',
        pids: [2041],
      },
      {
        id: 'f2',
        kind: 'memory',
        label: 'shared cache',
        detail: 'memfd, 512 MiB, mapped only, preservable: shared cache',
        pids: [2041, 2141],
      },
      {
        id: 'd1',
        kind: 'disk',
        label: 'db-02.qcow2',
        detail: 'disk, descriptor 15, rebuilt: /var/lib/db-02.qcow2',
        pids: [2141],
      },
    ],
    edges: [
      { from: 'm1', to: 'f1', reason: 'it is the guest’s memory' },
      { from: 'm1', to: 'f2', reason: 'its VMM keeps something in it' },
      { from: 'm2', to: 'f2', reason: 'its VMM keeps something in it' },
      { from: 'm2', to: 'd1', reason: 'it is a disk of the machine, or another file that it works with' },
    ],
    order: ['f1', 'f2', 'd1', 'm1', 'm2'],
    cycle: [],
    ...more,
  };
}

/** Two devices of which each needs the other first. */
export function cyclicGraph(): OrderGraph {
  return {
    nodes: [
      {
        id: 'a',
        kind: 'device',
        label: 'luo-test-a',
        detail: 'device, descriptor 30, blocks: /dev/luo-test-a',
        pids: [2041],
      },
      {
        id: 'b',
        kind: 'device',
        label: 'luo-test-b',
        detail: 'device, descriptor 31, blocks: /dev/luo-test-b',
        pids: [2041],
      },
      { id: 'm1', kind: 'machine', label: 'web-01', detail: 'QEMU 11.1.0, pid 2041', pids: [2041] },
    ],
    edges: [
      { from: 'a', to: 'b', reason: 'its driver says that it needs it' },
      { from: 'b', to: 'a', reason: 'its driver says that it needs it' },
      { from: 'm1', to: 'a', reason: 'it is a device of the machine' },
    ],
    order: [],
    cycle: ['a', 'b', 'a'],
  };
}

/** What the agent's plan says of web-01, which is adopted, and of old-03, which is not. */
export function plannedMachines(): PlannedMachine[] {
  const running = machines().filter(({ name }) => name !== 'db-02');
  const none = (): null => null;
  return planMachines(running, new Set(), none, none, () => 10_000_000);
}

/** A machine's run whose parts begin when the first machine was suspended. */
export function machineRun(more: Partial<MachineRun> = {}): MachineRun {
  const lengths = [
    ['save', 110],
    ['kexec', 420],
    ['boot', 1800],
    ['userspace', 640],
    ['retrieve', 12],
    ['start', 260],
    ['load', 95],
    ['resume', 8],
  ] as const;
  let at = 0;
  const parts = lengths.map(([part, milliseconds]) => {
    const timing = { part, startedAtUs: at, durationUs: milliseconds * 1000 };
    at += timing.durationUs;
    return timing;
  });
  return {
    name: 'web-01',
    pid: 2041,
    newPid: 611,
    way: 'cpr',
    session: 'web-01',
    stage: 'resumed',
    detail: '',
    brownoutUs: 3_570_000,
    suspendedAtUs: nowUs() - 4000 * second + 3_570_000,
    blackoutUs: at,
    parts,
    waits: [],
    failedAt: null,
    instructions: null,
    stateBytes: 400_000,
    ...more,
  };
}
