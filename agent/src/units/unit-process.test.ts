// SPDX-License-Identifier: Apache-2.0
/** Which process of a machine's unit is its VMM. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { machineUnitPid } from './unit-process.ts';

let directory: string;
let paths: Parameters<typeof machineUnitPid>[1];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'luo-unit-'));
  paths = { sys: join(directory, 'sys'), proc: join(directory, 'proc'), carrier: '/usr/lib/carrier' };
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Puts processes into the machine's group, or into one below it. */
function put(pids: readonly number[], below = ''): void {
  const group = join(paths.sys, 'fs/cgroup/machine.slice/luo-machine-one.service', below);
  mkdirSync(group, { recursive: true });
  writeFileSync(join(group, 'cgroup.procs'), pids.map((pid) => `${pid}\n`).join(''));
}

function runs(pid: number, program: string): void {
  mkdirSync(join(paths.proc, String(pid)), { recursive: true });
  symlinkSync(program, join(paths.proc, String(pid), 'exe'));
}

const found = (): Promise<number | null> => machineUnitPid('one', paths, null, 0);

it('is the first one, and is waited for', async () => {
  expect(await found()).toBe(null);
  const asked = machineUnitPid('one', paths, null);
  put([4711, 4712]);
  expect(await asked).toBe(4711);
});

it.each(['/usr/lib/carrier', '/usr/lib/carrier (deleted)'])(
  'is not the relay that the carrier has left there: %s',
  async (program) => {
    put([4710, 4711]);
    runs(4710, program);
    runs(4711, '/usr/bin/qemu');
    expect(await found()).toBe(4711);
    put([4710]);
    expect(await found()).toBe(null);
  },
);

it('may be in a group that the VMM has made below its unit', async () => {
  put([4710]);
  put([], 'a');
  put([4711], 'a/b');
  runs(4710, '/usr/lib/carrier');
  runs(4711, '/usr/bin/qemu');
  expect(await found()).toBe(4711);
});

it('is not looked for without end', async () => {
  put([]);
  put([4711], Array.from({ length: 70 }, () => 'x').join('/'));
  expect(await found()).toBe(null);
});

it('is another one in the machine’s second unit', async () => {
  put([4711]);
  const second = (): Promise<number | null> => machineUnitPid('one', paths, null, 0, true);
  expect(await second()).toBe(null);
  put([4712], '../luo-machine-one.second.service');
  expect([await found(), await second()]).toEqual([4711, 4712]);
});
