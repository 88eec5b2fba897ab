// SPDX-License-Identifier: Apache-2.0
/** What a VMM's unit may use, as a made-up tree of control groups shows it, and as its next unit gets it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Resources, readResources, resourceProperties, sliceGroup } from './resources.ts';

const pid = 4711;
let paths: { proc: string; sys: string };

beforeEach(() => {
  const directory = mkdtempSync(join(tmpdir(), 'luo-resources-'));
  paths = { proc: join(directory, 'proc'), sys: join(directory, 'sys') };
  mkdirSync(join(paths.proc, String(pid)), { recursive: true });
});
afterEach(() => rmSync(join(paths.proc, '..'), { recursive: true }));

/** Puts the VMM in a group. @param groups files of groups, by the group's path */
function isIn(group: string, groups: Readonly<Record<string, Readonly<Record<string, string>>>> = {}): void {
  writeFileSync(join(paths.proc, String(pid), 'cgroup'), `0::${group}\n`);
  for (const [path, files] of Object.entries(groups)) {
    const at = join(paths.sys, 'fs/cgroup', path);
    mkdirSync(at, { recursive: true });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(at, name), `${text}\n`);
  }
}

const read = (): Resources | null => readResources(paths, pid);

/** The properties, by their names. */
const properties = (resources: Resources | null): Record<string, unknown> =>
  Object.fromEntries(Object.entries(resourceProperties(resources)).map(([name, { value }]) => [name, value]));

describe('what a VMM may use', () => {
  it('is its slice, and what its unit has of limits and shares', () => {
    isIn('/prod.slice/prod-web.slice/vm1.service', {
      '/prod.slice/prod-web.slice/vm1.service': {
        ...{ 'memory.min': '0', 'memory.low': '1048576', 'memory.high': 'max', 'memory.max': '2147483648' },
        ...{ 'memory.swap.max': '0', 'pids.max': '64', 'cpu.max': '150000 100000', 'cpu.weight': '300' },
        ...{ 'io.weight': 'default 50\n8:0 20', 'cpuset.cpus': '0-1,9', 'cpuset.mems': '0' },
      },
    });
    const resources = read();
    expect(resources).toEqual({
      ...{ slice: 'prod-web.slice', memoryLow: '1048576', memoryMax: '2147483648', memorySwapMax: '0' },
      ...{ tasksMax: '64', cpuQuota: { timeUs: 150_000, periodUs: 100_000 }, cpuWeight: 300, ioWeight: 50 },
      ...{ cpus: '0-1,9', memoryNodes: '0' },
    });
    expect(properties(resources)).toEqual({
      ...{ Slice: 'prod-web.slice', MemoryLow: 1048576n, MemoryMax: 2147483648n, MemorySwapMax: 0n },
      ...{ TasksMax: 64n, CPUQuotaPerSecUSec: 1_500_000n, CPUQuotaPeriodUSec: 100_000n },
      ...{ CPUWeight: 300n, IOWeight: 50n, AllowedCPUs: [3, 2], AllowedMemoryNodes: [1] },
    });
  });

  it('is the tightest of its unit and of groups below, but for those of some threads only', () => {
    const scope = '/machine.slice/machine-qemu\\x2d1\\x2dweb.scope';
    isIn(`${scope}/libvirt/emulator`, {
      [scope]: {
        'memory.max': '4294967296',
        'pids.max': 'max',
        'cpu.max': 'max 100000',
        'cpuset.cpus': '0-3',
      },
      // Whoever has the groups below may name any processors there.
      [`${scope}/libvirt`]: { 'memory.max': '1073741824', 'cpu.max': '50000 100000', 'cpuset.cpus': '0-9' },
      [`${scope}/libvirt/emulator`]: {
        'cgroup.type': 'threaded',
        'cpu.max': '1000 100000',
        'cpuset.cpus': '2',
      },
    });
    expect(read()).toEqual({
      ...{ slice: 'machine.slice', memoryMax: '1073741824', cpus: '0-3' },
      cpuQuota: { timeUs: 50_000, periodUs: 100_000 },
    });
  });

  it('is found in a slice whose group has another name than it', () => {
    isIn('/_cpu.slice/cpu-pinned.slice/vm.service');
    expect(read()).toEqual({ slice: 'cpu-pinned.slice' });
    isIn('/_cpu.slice/vm.service');
    expect(read()).toEqual({ slice: 'cpu.slice' });
    expect(sliceGroup('cpu.slice')).toBe('/_cpu.slice');
  });

  it.each([
    '/init.scope',
    '/',
    '/machine.slice',
    '/user.slice/user-1000.slice/session-3.scope',
    '/user.slice/user-1.slice/user@1.service/vm.scope',
    '/odd.slice/other.slice/vm.service',
    '/a b.slice/vm.service',
  ])('is unknown, if it is in no unit of its own in a slice: %s', (group) => {
    isIn(group);
    expect(read()).toBeNull();
    expect(properties(null)).toEqual({ Slice: 'machine.slice' });
  });

  it('is unknown on a host with control groups of version 1', () => {
    writeFileSync(join(paths.proc, String(pid), 'cgroup'), '1:name=systemd:/system.slice/vm.service\n');
    expect(read()).toBeNull();
  });

  it('cannot be less than a unit may have, and what cannot be used is refused', () => {
    isIn('/system.slice/vm.service', { '/system.slice/vm.service': { 'memory.max': '0', 'pids.max': '0' } });
    expect(read()).toEqual({ slice: 'system.slice' });
    for (const wrong of [{ memoryMax: `${2n ** 64n - 1n}` }, { cpus: '0-99999' }, { slice: '../a.slice' }])
      expect(v.is(Resources, { slice: 'a.slice', ...wrong })).toBe(false);
  });
});

it('has its group in those of the slices that its name begins with', () => {
  expect(sliceGroup('machine.slice')).toBe('/machine.slice');
  expect(sliceGroup('a-b-c.slice')).toBe('/a.slice/a-b.slice/a-b-c.slice');
});
