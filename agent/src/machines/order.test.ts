// SPDX-License-Identifier: Apache-2.0
/** The order in which the files of machines are preserved, for any needs among them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Refusal } from '../host/refusal.ts';
import type { Machine, MachineDescriptor, OrderGraph } from '../interface/agent.generated.ts';
import { orderDescriptors, orderOf } from './order.ts';

const MiB = 1024 * 1024;

function descriptor(
  fd: number | null,
  kind: MachineDescriptor['kind'],
  more: Partial<MachineDescriptor> = {},
) {
  const file: MachineDescriptor = {
    fd,
    duplicates: [],
    kind,
    name: `/${kind}`,
    size: null,
    inode: null,
    guestMemory: false,
    pciAddress: null,
    dependsOn: [],
    sharedWith: [],
    fate: 'rebuilt',
    reason: 'for the test',
    source: 'rule',
    errno: null,
    session: null,
    token: null,
    ...more,
  };
  return file;
}

const memory = (fd: number | null, inode: number, more: Partial<MachineDescriptor> = {}): MachineDescriptor =>
  descriptor(fd, 'memfd', {
    name: '/memfd:ram (deleted)',
    size: 64 * MiB,
    inode,
    guestMemory: true,
    fate: 'preservable',
    ...more,
  });

function device(fd: number, name: string, dependsOn: number[] = []): MachineDescriptor {
  const more = { name: `/dev/luo_lab/${name}`, inode: 500 + fd, dependsOn, fate: 'preservable' as const };
  return descriptor(fd, 'device', more);
}

const machine = (
  pid: number,
  descriptors: MachineDescriptor[],
  state: Machine['state'] = 'running',
): Machine => ({
  name: `guest ${pid}`,
  pid,
  user: 'root',
  command: 'qemu-system-x86',
  vmm: 'QEMU',
  version: '11.1.3',
  vcpus: 1,
  memory: 64 * MiB,
  memoryInFiles: 64 * MiB,
  state,
  accelerator: 'tcg',
  monitor: 'answered',
  monitorPath: null,
  monitorDetail: '',
  sharesMemoryWith: [],
  descriptors,
  otherDescriptors: 0,
  way: 'cpr',
  wayReason: '',
  expectedBlackoutUs: null,
  unlinks: [],
  session: null,
  definition: null,
  priority: null,
  consolePath: null,
  needs: null,
  obstacle: null,
  rehearsal: null,
});

const edgesOf = ({ edges }: OrderGraph): string[] => edges.map(({ from, to }) => `${from} ${to}`).sort();

describe('the order of machines and their files', () => {
  it('puts memory before what maps it, that before its devices, and the machine last', () => {
    const graph = orderOf([
      machine(100, [
        descriptor(3, 'vfio_device', { pciAddress: '0000:01:00.0', dependsOn: [5], fate: 'blocks' }),
        descriptor(5, 'iommufd', { dependsOn: [9], fate: 'lost' }),
        descriptor(6, 'kvm_vm', { name: 'anon_inode:kvm-vm', dependsOn: [9] }),
        memory(9, 70),
        descriptor(11, 'disk', { name: '/srv/images/root.qcow2', size: 5 * MiB, inode: 80 }),
        descriptor(12, 'socket'),
        descriptor(13, 'eventfd'),
      ]),
    ]);
    expect(graph.order).toEqual([
      'file-100-9',
      'file-100-5',
      'file-100-3',
      'file-100-6',
      'file-100-11',
      'machine-100',
    ]);
    expect(graph.cycle).toEqual([]);
    expect(edgesOf(graph)).toEqual([
      'file-100-3 file-100-5',
      'file-100-5 file-100-9',
      'file-100-6 file-100-9',
      'machine-100 file-100-11',
      'machine-100 file-100-3',
      'machine-100 file-100-5',
      'machine-100 file-100-6',
      'machine-100 file-100-9',
    ]);
    const node = (id: string) => graph.nodes.find((each) => each.id === id);
    expect(node('file-100-9')).toEqual({
      id: 'file-100-9',
      kind: 'memory',
      label: 'ram',
      detail: 'memfd, 64 MiB, descriptor 9, preservable: /memfd:ram (deleted)',
      pids: [100],
    });
    expect(node('file-100-3')).toMatchObject({ kind: 'device', label: '0000:01:00.0' });
    expect(node('file-100-11')).toMatchObject({ kind: 'disk', label: 'root.qcow2' });
    expect(node('machine-100')).toMatchObject({ kind: 'machine', label: 'guest 100', pids: [100] });
    expect(graph.edges.every(({ reason }) => reason.length > 10)).toBe(true);
  });

  it('calls memory that has lost its name in a kexec by what it is', () => {
    const graph = orderOf([machine(100, [memory(9, 1, { name: '/ (deleted)' })])]);
    expect(graph.nodes.map(({ label }) => label)).toContain('guest memory, 64 MiB');
  });

  it('has a file that several machines have once: memory, mapped only too, and disks', () => {
    const disk = (fd: number, sharedWith: number[]) =>
      descriptor(fd, 'disk', { name: '/srv/data', inode: 70, sharedWith });
    const graph = orderOf([
      machine(200, [memory(4, 70, { sharedWith: [100, 300] }), disk(5, [100])]),
      machine(100, [memory(null, 70, { sharedWith: [200, 300] }), disk(8, [200])]),
      machine(300, [memory(4, 70, { sharedWith: [100, 200] }), memory(6, 71)]),
    ]);
    expect(graph.nodes.map(({ id, pids }) => [id, ...pids])).toEqual([
      ['file-100-8', 100, 200],
      ['file-100-inode-70', 100, 200, 300],
      ['machine-100', 100],
      ['machine-200', 200],
      ['file-300-6', 300],
      ['machine-300', 300],
    ]);
    expect(graph.order.indexOf('machine-300')).toBe(5);
  });

  it('keeps files apart that have one inode number on two file systems', () => {
    const disk = (fd: number, name: string, sharedWith: number[]) =>
      descriptor(fd, 'disk', { name, inode: 12, sharedWith });
    const graph = orderOf([
      machine(100, [disk(3, '/a/x', [200]), disk(4, '/b/y', [200])]),
      machine(200, [disk(7, '/b/y', [100]), disk(8, '/a/x', [100])]),
      machine(300, [disk(7, '/c/z', [])]),
    ]);
    expect(graph.nodes.filter(({ kind }) => kind === 'disk').map(({ id, pids }) => [id, ...pids])).toEqual([
      ['file-100-3', 100, 200],
      ['file-100-4', 100, 200],
      ['file-300-7', 300],
    ]);
  });

  it('names a cycle by its nodes and has no order then', () => {
    const graph = orderOf([
      machine(100, [
        device(3, 'device0', [4]),
        device(4, 'iommu0', [5]),
        device(5, 'memory0', [3]),
        memory(6, 70),
      ]),
    ]);
    expect(graph.order).toEqual([]);
    expect(graph.cycle).toEqual(['file-100-3', 'file-100-4', 'file-100-5', 'file-100-3']);
  });

  it('leaves out a machine that ended, and devices that state nothing', () => {
    const plain = descriptor(3, 'device', { name: '/dev/vda' });
    const graph = orderOf([machine(100, [], 'gone'), machine(200, [plain, memory(4, 70)])]);
    expect(graph.nodes.map(({ id }) => id)).toEqual(['file-200-4', 'machine-200']);
  });

  it('does not depend on the order in which machines and descriptors are listed', () => {
    fc.assert(
      fc.property(anyMachines, fc.func(fc.nat()), (machines, shuffle) => {
        const key = (pid: number, fd: number | null): number => shuffle(pid, fd);
        const mixed = machines
          .map((each) => ({
            ...each,
            descriptors: each.descriptors.toSorted(
              (left, right) => key(each.pid, left.fd) - key(each.pid, right.fd),
            ),
          }))
          .toSorted((left, right) => key(left.pid, null) - key(right.pid, null));
        const [one, other] = [orderOf(machines), orderOf(mixed)];
        expect(other.order).toEqual(one.order);
        expect(other.nodes).toEqual(one.nodes);
        expect(other.cycle).toEqual(one.cycle);
        expect(edgesOf(other)).toEqual(edgesOf(one));
      }),
    );
  });

  it('respects every edge, or has a cycle of edges', () => {
    fc.assert(
      fc.property(anyMachines, (machines) => {
        const graph = orderOf(machines);
        const edges = new Set(edgesOf(graph));
        const ids = graph.nodes.map(({ id }) => id);
        expect(new Set(ids).size).toBe(ids.length);
        for (const id of ids) expect(id).toMatch(/^[a-z0-9-]+$/);
        if (graph.cycle.length > 0) {
          expect(graph.order).toEqual([]);
          expect(graph.cycle.at(-1)).toBe(graph.cycle[0]);
          for (const [at, id] of graph.cycle.slice(0, -1).entries()) {
            expect(edges).toContain(`${id} ${graph.cycle[at + 1]}`);
          }
          return;
        }
        expect(graph.order.toSorted()).toEqual(ids.toSorted());
        for (const { from, to } of graph.edges) {
          expect(graph.order.indexOf(to)).toBeLessThan(graph.order.indexOf(from));
        }
      }),
      { numRuns: 300 },
    );
  });
});

/** Up to four machines that share some of their files, each with devices that need one another somehow. */
const anyMachines = fc
  .array(
    fc.array(
      fc.record({
        kind: fc.constantFrom('memfd', 'disk', 'device', 'kvm_vm', 'socket'),
        inode: fc.integer({ min: 70, max: 73 }),
        needs: fc.array(fc.nat(6), { maxLength: 2 }),
      }),
      { maxLength: 6 },
    ),
    { maxLength: 4 },
  )
  .map((machines) => {
    const has = (index: number, inode: number, kind: string): boolean =>
      (machines[index] ?? []).some((file) => file.inode === inode && file.kind === kind);
    return machines.map((files, index) => {
      const seen = new Set<string>();
      const descriptors = files.flatMap(({ kind, inode, needs }, place) => {
        if (seen.has(`${kind} ${inode}`)) return [];
        seen.add(`${kind} ${inode}`);
        const sharedWith = machines.flatMap((_, other) =>
          other !== index && has(other, inode, kind) ? [100 + other] : [],
        );
        const dependsOn = kind === 'device' ? needs : [];
        const fate = kind === 'memfd' || kind === 'device' ? ('preservable' as const) : ('rebuilt' as const);
        return [descriptor(place, kind, { inode, name: `/${kind}/${inode}`, dependsOn, sharedWith, fate })];
      });
      return machine(100 + index, descriptors);
    });
  });

describe('the order of one machine’s descriptors', () => {
  it('has what the kernel takes, after what it needs, by number where nothing demands otherwise', () => {
    const descriptors = [
      device(3, 'device0', [20]),
      memory(7, 71),
      { ...memory(8, 70), fate: 'blocks' as const },
      device(9, 'memory0'),
      { ...device(12, 'iommu0', [9]), duplicates: [20] },
      memory(null, 72),
    ];
    expect(orderDescriptors({ descriptors })).toEqual([7, 9, 12, 3]);
    expect(orderDescriptors({ descriptors: descriptors.toReversed() })).toEqual([7, 9, 12, 3]);
  });

  it('refuses a cycle and names it', () => {
    const descriptors = [device(3, 'device1', [4]), device(4, 'memory1', [3]), memory(5, 70)];
    const attempt = (): number[] => orderDescriptors({ descriptors });
    expect(attempt).toThrow(Refusal);
    expect(attempt).toThrow(
      expect.objectContaining({
        refusal: 'DependencyCycle',
        parameters: {
          cycle: ['device1 (descriptor 3)', 'memory1 (descriptor 4)', 'device1 (descriptor 3)'],
        },
      }),
    );
  });
});
