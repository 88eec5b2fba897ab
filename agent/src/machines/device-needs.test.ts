// SPDX-License-Identifier: Apache-2.0
/** What a device of the lab needs, read from the kernel. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { statedDevice } from './device-needs.ts';
import { listMachines } from './machines.ts';
import { MadeUpProc } from './made-up-proc.fixture.ts';
import { orderDescriptors } from './order.ts';

let proc: MadeUpProc;
beforeEach(() => {
  proc = new MadeUpProc();
});
afterEach(() => proc[Symbol.dispose]());

/** `st_rdev` of a device with major number 10, as gnu_dev_makedev(3) makes it. */
const rdev = (minor: number): number => 0xa00 + (minor & 0xff) + ((minor & ~0xff) << 12);

function state(minor: number, name: string, needs: string): void {
  const directory = join(proc.sources.sys, `dev/char/10:${minor}`);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'needs'), `${needs}\n`);
  writeFileSync(join(directory, 'uevent'), `MAJOR=10\nMINOR=${minor}\nDEVNAME=${name}\nDEVMODE=0600\n`);
}

/** A QEMU with these devices open, by descriptor; each has the minor number 300 more than its descriptor. */
function addMachine(devices: Readonly<Record<number, string>>): void {
  for (const [fd, name] of Object.entries(devices)) {
    const number = { regular: false, inode: Number(fd), characterDevice: rdev(300 + Number(fd)) };
    proc.files.set(name, number);
  }
  proc.add({ pid: 100, words: ['qemu-kvm'], fds: devices });
}

const only = async () => {
  const [machine] = await listMachines(proc.sources);
  if (!machine) throw new Error('no machine was found');
  return machine;
};

describe('what a device needs', () => {
  it('is read where its driver says it, whatever its numbers', async () => {
    state(7, 'luo_lab/iommu0', 'memory0');
    state(1234, 'plain', 'none');
    state(8, 'luo_lab/both', 'one two');
    expect(await statedDevice(proc.sources.sys, rdev(7))).toEqual({
      name: 'luo_lab/iommu0',
      needs: ['luo_lab/memory0'],
    });
    expect(await statedDevice(proc.sources.sys, rdev(1234))).toEqual({ name: 'plain', needs: [] });
    expect((await statedDevice(proc.sources.sys, rdev(8)))?.needs).toEqual(['luo_lab/one', 'luo_lab/two']);
    expect(await statedDevice(proc.sources.sys, rdev(9))).toBeNull();
  });

  it('makes dependencies of the machine’s descriptors, and the kernel is taken to have a handler', async () => {
    state(303, 'luo_lab/device0', 'iommu0');
    state(304, 'luo_lab/memory0', 'none');
    state(305, 'luo_lab/iommu0', 'memory0');
    // Opened through another directory: what it is called there does not matter.
    addMachine({ 3: '/dev/luo_lab/device0', 4: '/dev/other/place', 5: '/dev/luo_lab/iommu0', 6: '/dev/vda' });
    const machine = await only();
    expect(machine.descriptors.map(({ fd, dependsOn, fate }) => [fd, dependsOn, fate])).toEqual([
      [3, [5], 'preservable'],
      [4, [], 'preservable'],
      [5, [4], 'preservable'],
      [6, [], 'rebuilt'],
    ]);
    expect(machine.descriptors[0]).toMatchObject({
      source: 'rule',
      reason: expect.stringContaining('it needs luo_lab/iommu0'),
    });
    expect(orderDescriptors(machine)).toEqual([4, 5, 3]);
  });

  it('blocks the machine if it does not have it', async () => {
    state(303, 'luo_lab/device0', 'iommu0');
    addMachine({ 3: '/dev/luo_lab/device0' });
    expect((await only()).descriptors).toMatchObject([
      {
        dependsOn: [],
        fate: 'blocks',
        reason: expect.stringContaining('luo_lab/iommu0, which the machine does not'),
      },
    ]);
  });
});
