// SPDX-License-Identifier: Apache-2.0
/** By which way a machine can be carried over, and why by none. */
import { describe, expect, it } from 'vitest';
import type { MachineDescriptor } from '../interface/agent.generated.ts';
import { readQemuCommandLine } from '../qemu/command-line.ts';
import { findWay, type MigrationFacts, type WayFacts } from './ways.ts';

const MiB = 1024 ** 2;

const memory: MachineDescriptor = {
  fd: 12,
  duplicates: [],
  kind: 'memfd',
  name: '/memfd:ram (deleted)',
  size: 64 * MiB,
  inode: 5,
  guestMemory: true,
  pciAddress: null,
  dependsOn: [],
  sharedWith: [],
  fate: 'preservable',
  reason: '',
  source: 'kernel',
  errno: null,
  session: null,
  token: null,
};

const shared: MigrationFacts = {
  auxRamShare: true,
  backends: [{ id: 'ram', share: true, size: 64 * MiB, path: null }],
  blocked: [],
  devices: [],
  plugged: [],
};

function way(change: Partial<WayFacts> = {}, migration: Partial<MigrationFacts> = {}) {
  const words = change.words ?? ['qemu-system-x86_64', '-name', 'one'];
  return findWay({
    vmm: 'QEMU',
    version: '11.1.3',
    state: 'running',
    words,
    line: readQemuCommandLine(words),
    monitorDetail: '',
    migration: { ...shared, ...migration },
    programReplaced: false,
    transientFiles: [],
    descriptors: [memory],
    memory: 64 * MiB,
    ...change,
  });
}

const named = {
  backends: [{ id: 'ram', share: true, size: 64 * MiB, path: '/dev/shm/ram' }],
  auxRamShare: false,
};

describe('the way of a machine', () => {
  it.each([
    ['migrated', /has not run since.*let it run once/],
    ['incoming', /waits for the state/],
  ] as const)('is none in a state in which QEMU saves no machine: %s', (state, wayReason) => {
    expect(way({ state })).toMatchObject({ way: 'none', wayReason: expect.stringMatching(wayReason) });
    expect(way({ state: 'paused' }).way).toBe('cpr');
  });

  it('is cpr where memory is shared and aux-ram-share is on', () => {
    expect(way()).toMatchObject({ way: 'cpr', unlinks: [] });
  });

  it('is cpr too where some or all of the memory is in named files, whose names are in the way', () => {
    const common = {
      ...memory,
      kind: 'tmpfs_linked',
      fate: 'blocks',
      name: '/dev/shm/common',
    } as const;
    const backend = { id: 'common', share: true, size: MiB, path: '/dev/shm/common' };
    const both = way({ descriptors: [memory, common] }, { backends: [...shared.backends, backend] });
    expect(both).toMatchObject({ way: 'cpr', unlinks: ['/dev/shm/common'] });
    expect(way({ descriptors: [common] }, { backends: [backend] }).way).toBe('cpr');
  });

  it('is named memory where each backend has a file, and says which names are in the way', () => {
    const linked = { ...memory, kind: 'tmpfs_linked', fate: 'blocks', name: '/dev/shm/ram' } as const;
    expect(way({ descriptors: [linked] }, named)).toMatchObject({
      way: 'named_memory',
      unlinks: ['/dev/shm/ram'],
    });
    expect(
      way({ descriptors: [{ ...linked, kind: 'tmpfs_unlinked', fate: 'preservable' }] }, named),
    ).toMatchObject({
      way: 'named_memory',
      unlinks: [],
    });
  });

  it.each<[string, Partial<WayFacts>, Partial<MigrationFacts>, RegExp]>([
    ['private memory', { descriptors: [] }, { backends: [] }, /not shared/],
    ['an older QEMU', { version: '9.2.0' }, {}, /without a name/],
    ['no aux-ram-share', {}, { auxRamShare: false }, /aux-ram-share is off/],
    [
      'memory on huge pages',
      { descriptors: [{ ...memory, kind: 'hugetlb', fate: 'rebuilt' }] },
      {},
      /does not preserve/,
    ],
    [
      'memory that comes back sealed',
      { descriptors: [memory, { ...memory, fate: 'rebuilt', reason: 'it has the seal F_SEAL_EXEC' }] },
      {},
      /memfd:ram \(deleted\): it has the seal F_SEAL_EXEC/,
    ],
  ])('is the whole state with %s, and says why', (_what, change, migration, reason) => {
    const found = way(change, migration);
    expect(found.way).toBe('whole_state');
    expect(found.wayReason).toMatch(reason);
    expect(found.expectedBlackoutUs).toBeGreaterThan(way().expectedBlackoutUs ?? 0);
  });

  it.each<[string, Partial<WayFacts>, Partial<MigrationFacts>, RegExp]>([
    ['another VMM', { vmm: 'firecracker' }, {}, /firecracker is not a VMM/],
    [
      'a monitor that cannot be asked',
      { migration: null, monitorDetail: 'another client' },
      {},
      /another client/,
    ],
    ['a program that was replaced', { programReplaced: true }, {}, /replaced/],
    [
      'a device that QEMU cannot move',
      {},
      { blocked: ['VFIO migration is not supported'] },
      /VFIO migration/,
    ],
    ['a device that was plugged in', {}, { devices: ['net7'] }, /added .*net7/],
    [
      'a device that was taken out',
      { words: ['q', '-device', 'virtio-net,id=net0'] },
      {},
      /were removed since it started: .*net0/,
    ],
    [
      'a descriptor of its starter',
      { words: ['q', '-netdev', 'tap,id=n,fd=30'] },
      {},
      /that the agent does not have: .*fd=30/,
    ],
    ['writes that go with it', { words: ['q', '-snapshot'] }, {}, /-snapshot/],
    ['a kernel on tmpfs', { transientFiles: ['/run/vmlinuz'] }, {}, /\/run\/vmlinuz.*tmpfs/],
    [
      'memory in a device and no aux-ram-share',
      { words: ['q', '-device', 'ivshmem-plain,memdev=ram'] },
      named,
      /PCI device.*aux-ram-share is off/,
    ],
    ['a window', { words: ['q', '-display', 'gtk'] }, {}, /window/],
    [
      'sealed memory that its starter handed it',
      { descriptors: [{ ...memory, fate: 'rebuilt', reason: 'it has the seal F_SEAL_EXEC' }] },
      { backends: [{ id: 'ram', share: true, size: MiB, path: '/proc/self/fd/9' }], auxRamShare: false },
      /F_SEAL_EXEC.*memory backend ram is a descriptor that its starter handed it/,
    ],
    [
      'memory private to the guest',
      { descriptors: [{ ...memory, kind: 'guest_memfd', fate: 'blocks' }] },
      {},
      /memfd:ram/,
    ],
  ])('is none with %s', (_what, change, migration, reason) => {
    const found = way(change, migration);
    expect(found).toMatchObject({ way: 'none', expectedBlackoutUs: null });
    expect(found.wayReason).toMatch(reason);
  });

  it('does not take words of the guest or of people for descriptors', () => {
    expect(way({ words: ['q', '-append', 'fd=3', '-name', 'fd=4'] }).way).toBe('cpr');
    const object = 'memory-backend-file,id=ram,mem-path=/proc/self/fd/9,share=on';
    expect(way({ words: ['q', '-object', object] }, named).way).toBe('named_memory');
  });
});
