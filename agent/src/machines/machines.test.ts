// SPDX-License-Identifier: Apache-2.0
/** Finding machines among the processes, and what is read from them and their monitors. */
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Machine } from '../interface/agent.generated.ts';
import { type FakeQmp, machineAnswers, nothing, serveQmp, value } from '../qemu/fake-qmp.fixture.ts';
import { getMachine, listMachines } from './machines.ts';
import { MadeUpProc, mapLine, unixLine } from './made-up-proc.fixture.ts';

const MiB = 1024 * 1024;
const ram = '/memfd:memory-backend-memfd (deleted)';

let proc: MadeUpProc;
beforeEach(() => {
  proc = new MadeUpProc();
  proc.add({ pid: 1, words: ['init'], fds: { 0: '/dev/null', 3: 'socket:[5]' } });
  proc.files.set(ram, { kind: 'memfd', size: 64 * MiB, inode: 70 });
});
afterEach(() => proc[Symbol.dispose]());

async function only(): Promise<Machine> {
  const [machine, ...more] = await listMachines(proc.sources);
  if (!machine || more.length > 0) throw new Error(`expected one machine, found ${more.length + 1}`);
  return machine;
}

const fd = (machine: Machine, number: number) => {
  const found = machine.descriptors.find((each) => each.fd === number);
  if (!found) throw new Error(`descriptor ${number} is not listed`);
  return found;
};

/** A QEMU whose monitor is the fake one. */
function addQemu(qmp: FakeQmp, others: readonly string[] = [], extra = ''): void {
  proc.peers.set(qmp.path, 100);
  proc.add({
    pid: 100,
    words: ['qemu-system-x86_64', '-name', 'from the line', '-qmp', `unix:${qmp.path},server=on${extra}`],
    fds: { 0: '/dev/null', 3: 'socket:[50]', 8: ram, 9: 'socket:[51]' },
    maps: [mapLine(ram, 70, 64 * MiB)],
    sockets: [unixLine(50, qmp.path, true), ...others],
  });
}

describe('a machine', () => {
  it('is a QEMU, with what its monitor says', async () => {
    addQemu(await serveQmp(machineAnswers));
    expect(await only()).toMatchObject({
      name: 'guest one',
      pid: 100,
      vmm: 'QEMU',
      version: '11.1.3',
      vcpus: 2,
      memory: 64 * MiB,
      memoryInFiles: 64 * MiB,
      state: 'running',
      accelerator: 'tcg',
      monitor: 'answered',
      otherDescriptors: 1,
    });
  });

  it('is asked for the files of its block nodes, and is no other one if it does not say them', async () => {
    const nodes = [{ file: '/srv/disk', drv: 'file', image: { filename: '/srv/disk' } }];
    for (const [answers, heard] of [
      [{ 'query-named-block-nodes': value(nodes) }, { files: ['/srv/disk'], drivers: ['file'] }],
      [{}, { problem: 'no such' }],
    ] as const) {
      addQemu(await serveQmp({ ...machineAnswers, ...answers }));
      expect(await only()).toMatchObject({ monitor: 'answered', version: '11.1.3' });
      expect(proc.blockFiles.get(100)).toEqual(heard);
      proc.end(100);
    }
  });

  it('is whatever holds a virtual machine of KVM’s, and each descriptor has a verdict with its reason', async () => {
    proc.files.set('/dev/vda', { regular: false });
    proc.files.set('/srv/image', { size: 5 * MiB, inode: 80 });
    proc.files.set('/var/log/vmm', { inode: 81 });
    proc.add({
      pid: 200,
      words: ['cloud-hypervisor'],
      fds: {
        1: '/var/log/vmm',
        3: '/dev/kvm',
        4: 'anon_inode:kvm-vm',
        5: 'anon_inode:kvm-vcpu:0',
        6: 'anon_inode:kvm-vcpu:1',
        7: ram,
        8: 'anon_inode:[eventfd]',
        9: '/dev/vfio/devices/vfio0',
        10: '/dev/iommu',
        11: '/dev/net/tun',
        12: '/dev/vhost-net',
        13: '/srv/image',
        14: 'anon_inode:[eventpoll]',
        15: '/var/log/vmm',
        16: ram,
        17: 'pipe:[4]',
      },
      fdinfo: { 13: 'pos:\t0\nflags:\t0100002\n', 15: 'pos:\t0\nflags:\t0102001\n' },
      maps: [mapLine(ram, 70, 64 * MiB)],
    });
    const machine = await only();
    expect(machine).toMatchObject({ vmm: 'cloud-hypervisor', accelerator: 'kvm', vcpus: 2, monitor: 'none' });
    expect(machine.state).toBe('unknown');
    expect(machine.otherDescriptors).toBe(4);
    const fates = machine.descriptors.map(({ kind, fate, source, errno }) => [kind, fate, source, errno]);
    expect(fates).toEqual([
      ['kvm', 'rebuilt', 'rule', null],
      ['kvm_vm', 'rebuilt', 'kernel', 'ENOENT'],
      ['kvm_vcpu', 'rebuilt', 'kernel', 'ENOENT'],
      ['kvm_vcpu', 'rebuilt', 'kernel', 'ENOENT'],
      ['memfd', 'preservable', 'kernel', null],
      ['eventfd', 'rebuilt', 'rule', null],
      ['vfio_device', 'blocks', 'rule', null],
      ['iommufd', 'lost', 'rule', null],
      ['tap', 'rebuilt', 'rule', null],
      ['vhost', 'rebuilt', 'rule', null],
      ['disk', 'rebuilt', 'rule', null],
    ]);
    expect(machine.descriptors.every(({ reason }) => reason.length > 10)).toBe(true);
    expect(fd(machine, 4).reason).toContain('ENOENT');
    expect(fd(machine, 7)).toMatchObject({ duplicates: [16], guestMemory: true, size: 64 * MiB, inode: 70 });
    expect(fd(machine, 4).dependsOn).toEqual([7]);
    expect(fd(machine, 5).dependsOn).toEqual([4]);
    expect(fd(machine, 9).dependsOn).toEqual([10]);
    expect(fd(machine, 10).dependsOn).toEqual([7]);
  });

  it('of a VMM that nobody knows to save its state loses what the kernel does not take', async () => {
    proc.add({ pid: 200, words: ['homemade'], fds: { 4: 'anon_inode:kvm-vm' } });
    expect(fd(await only(), 4)).toMatchObject({ fate: 'lost', errno: 'ENOENT' });
  });

  it.each([
    ['linked tmpfs', '/dev/shm/ram', { kind: 'tmpfs_linked' }, 's', 'blocks', 'unlinked'],
    ['hugetlb', '/dev/hugepages/ram', { kind: 'hugetlb' }, 's', 'rebuilt', 'saves'],
    ['unlinked tmpfs', '/dev/shm/ram (deleted)', { kind: 'tmpfs_unlinked' }, 's', 'preservable', 'handler'],
    ['a privately mapped memfd', '/memfd:m (deleted)', { kind: 'memfd' }, 'p', 'rebuilt', 'share=off'],
  ] as const)('with its memory in %s', async (_what, name, file, how, fate, reason) => {
    proc.files.set(name, { ...file, size: MiB, inode: 71 });
    proc.add({
      pid: 100,
      words: ['qemu-kvm'],
      fds: { 8: name },
      maps: [mapLine(name, 71, MiB, how)],
    });
    const machine = await only();
    expect(fd(machine, 8)).toMatchObject({
      fate,
      guestMemory: true,
      reason: expect.stringContaining(reason),
    });
    expect(machine.memoryInFiles).toBe(how === 's' ? MiB : 0);
  });

  it('with a memfd that a session has says where, and one with unknown seals blocks', async () => {
    proc.files.set('/memfd:kept (deleted)', { kind: 'memfd', inode: 999 });
    proc.add({ pid: 100, words: ['qemu-kvm'], fds: { 8: ram, 9: '/memfd:kept (deleted)' } });
    const [machine] = await listMachines({ ...proc.sources, sealsOf: () => 0x80 });
    if (!machine) throw new Error('no machine');
    expect(fd(machine, 9)).toMatchObject({ fate: 'preservable', session: 'kept', token: '0x5' });
    expect(fd(machine, 8)).toMatchObject({ fate: 'blocks', reason: expect.stringContaining('0x80') });
  });
});

describe('memory with a seal', () => {
  const noexec = 0x20;

  it.each([
    ['a memfd', ram, 'memfd'],
    ['one that came through a kexec', '/ (deleted)', 'tmpfs_unlinked'],
  ] as const)(
    'against execution is not preserved, because it comes back read-only: %s',
    async (_, name, kind) => {
      proc.files.set(name, { kind, size: MiB, inode: 70 });
      const maps = [mapLine(name, 70, MiB)];
      proc.add({ pid: 100, words: ['qemu-kvm'], fds: { 8: name }, maps });
      const [machine] = await listMachines({ ...proc.sources, sealsOf: () => noexec });
      if (!machine) throw new Error('no machine');
      expect(fd(machine, 8)).toMatchObject({
        fate: 'rebuilt',
        reason: expect.stringMatching(/F_SEAL_EXEC.*vm\.memfd_noexec=1.*sealed against writing/),
      });
    },
  );

  it('is not preserved even if a session has it already', async () => {
    proc.files.set('/memfd:kept (deleted)', { kind: 'memfd', inode: 999, size: MiB });
    const maps = [mapLine('/memfd:kept (deleted)', 999, MiB)];
    proc.add({ pid: 100, words: ['qemu-kvm'], fds: { 9: '/memfd:kept (deleted)' }, maps });
    const [machine] = await listMachines({ ...proc.sources, sealsOf: () => noexec });
    if (!machine) throw new Error('no machine');
    expect(fd(machine, 9)).toMatchObject({ fate: 'rebuilt', session: 'kept' });
  });

  it.each([
    ['further writers', 0x10, 'rebuilt', /F_SEAL_FUTURE_WRITE/],
    ['a change of its size and of its seals', 0x07, 'preservable', /handler/],
    // It is read only now, and will be.
    ['writing', 0x28, 'preservable', /handler/],
  ])('against %s: %i', async (_, seals, fate, reason) => {
    const maps = [mapLine(ram, 70, MiB)];
    proc.add({ pid: 100, words: ['qemu-kvm'], fds: { 8: ram }, maps });
    const [machine] = await listMachines({ ...proc.sources, sealsOf: () => seals });
    if (!machine) throw new Error('no machine');
    expect(fd(machine, 8)).toMatchObject({ fate, reason: expect.stringMatching(reason) });
  });
});

describe('the monitor', () => {
  it('is left alone while another client is connected or queues, as libvirt’s is', async () => {
    for (const inode of [51, 0]) {
      const qmp = await serveQmp(machineAnswers);
      addQemu(qmp, [unixLine(inode, qmp.path)]);
      expect(await only()).toMatchObject({ monitor: 'busy', state: 'unknown', name: 'from the line' });
      expect(qmp.connections()).toBe(0);
      proc.end(100);
    }
  });

  it('of another machine with a socket of the same name does not count', async () => {
    const qmp = await serveQmp(machineAnswers);
    addQemu(qmp, [unixLine(77, qmp.path)]);
    expect((await only()).monitor).toBe('answered');
  });

  it('that was handed in as a descriptor is found by its inode', async () => {
    const qmp = await serveQmp(machineAnswers);
    proc.peers.set(qmp.path, 100);
    proc.add({
      pid: 100,
      words: ['qemu-kvm', '-chardev', 'socket,id=c,fd=22,server=on', '-mon', 'chardev=c,mode=control'],
      fds: { 22: 'socket:[50]' },
      sockets: [unixLine(50, qmp.path, true)],
    });
    expect(await only()).toMatchObject({ monitor: 'answered', monitorPath: qmp.path, name: 'guest one' });
  });

  it('is not asked where another process listens', async () => {
    const qmp = await serveQmp(machineAnswers);
    proc.add({
      pid: 100,
      words: ['qemu-kvm', '-qmp', `unix:${qmp.path},server=on`],
      fds: { 3: 'socket:[49]' },
      sockets: [unixLine(50, qmp.path, true)],
    });
    expect((await only()).monitor).toBe('unreachable');
    expect(qmp.connections()).toBe(0);
  });

  it('is told nothing if the path leads to another process by now', async () => {
    const qmp = await serveQmp(machineAnswers);
    addQemu(qmp);
    proc.peers.delete(qmp.path);
    const path = join(proc.directory, '100/root', qmp.path);
    expect(await only()).toMatchObject({
      monitor: 'unreachable',
      monitorDetail: `process ${process.pid} listens at ${path} in place of process 100`,
    });
    expect(qmp.commands).toEqual([]);
  });

  it.each([
    ['busy', {}, ''],
    ['malformed', {}, 'nonsense\n'],
    ['silent', { ...machineAnswers, 'query-status': nothing }, undefined],
    ['malformed', { ...machineAnswers, 'query-cpus-fast': value('many') }, undefined],
    [
      'malformed',
      { ...machineAnswers, 'query-memory-size-summary': value({ 'base-memory': -1 }) },
      undefined,
    ],
  ] as const)('that is %s costs only what it would have said', async (monitor, answers, greet) => {
    if (monitor === 'busy') proc.qmp = { greetingMs: 50 };
    if (monitor === 'silent') proc.qmp = { answerMs: 500 };
    addQemu(await serveQmp(answers, greet));
    const machine = await only();
    expect(machine).toMatchObject({ monitor, name: 'from the line', state: 'unknown' });
    expect(machine.monitorDetail).not.toBe('');
    expect(fd(machine, 8).fate).toBe('preservable');
  });

  it('may say a state that nobody knows', async () => {
    addQemu(await serveQmp({ ...machineAnswers, 'query-status': value({ status: 'dreaming' }) }));
    expect((await only()).state).toBe('other');
  });
});

describe('machines', () => {
  const addUser = (pid: number, name: string): void =>
    proc.add({ pid, words: ['qemu-kvm'], fds: { 8: name }, maps: [mapLine(name, 70, 64 * MiB)] });

  it('that share memory know of each other', async () => {
    proc.files.set('/memfd:own (deleted)', { kind: 'memfd', inode: 72 });
    addUser(100, ram);
    addUser(101, ram);
    proc.add({ pid: 102, words: ['qemu-kvm'], fds: { 8: '/memfd:own (deleted)' } });
    const machines = await listMachines(proc.sources);
    expect(machines.map(({ pid, sharesMemoryWith }) => [pid, sharesMemoryWith])).toEqual([
      [100, [101]],
      [101, [100]],
      [102, []],
    ]);
    const one = await getMachine(proc.sources, 101);
    expect(fd(one, 8).sharedWith).toEqual([100]);
    expect(one.sharesMemoryWith).toEqual([100]);
  });

  it('that end while they are looked at are gone, and the others are not', async () => {
    addUser(100, ram);
    addUser(101, ram);
    proc.beforeDescribe = () => {
      proc.beforeDescribe = () => {};
      proc.end(100);
    };
    const machines = await listMachines(proc.sources);
    expect(machines.map(({ pid, state }) => [pid, state])).toEqual([
      [100, 'gone'],
      [101, 'unknown'],
    ]);
    expect(machines[0]?.descriptors).toEqual([]);
    expect(machines[1]?.sharesMemoryWith).toEqual([]);
  });

  it('whose number another process got meanwhile are gone', async () => {
    addUser(100, ram);
    proc.beforeDescribe = () => {
      proc.beforeDescribe = () => {};
      proc.end(100);
      proc.add({ pid: 100, words: ['sh'], startTime: 900, fds: { 8: ram } });
    };
    expect(await only()).toMatchObject({ pid: 100, vmm: 'QEMU', state: 'gone', descriptors: [] });
  });

  it('with thousands of descriptors are listed in full', async () => {
    const fds: Record<number, string> = { 3: 'anon_inode:kvm-vm', 4: ram };
    for (let number = 10; number < 3010; number += 1) fds[number] = 'anon_inode:[eventfd]';
    proc.add({ pid: 100, words: ['qemu-kvm'], fds });
    const machine = await only();
    expect(machine.descriptors).toHaveLength(3002);
    expect(fd(machine, 3009)).toMatchObject({ kind: 'eventfd', fate: 'rebuilt' });
  });

  it('are no other processes', async () => {
    expect(await listMachines(proc.sources)).toEqual([]);
    await expect(getMachine(proc.sources, 1)).rejects.toMatchObject({
      refusal: 'NotAMachine',
      parameters: { pid: 1, command: 'init' },
    });
    const sources = { ...proc.sources, commandOf: async () => null };
    for (const pid of [4711, 0, -1, 2 ** 40])
      await expect(getMachine(sources, pid)).rejects.toMatchObject({ refusal: 'NoSuchProcess' });
  });
});
