// SPDX-License-Identifier: Apache-2.0
/** The unit of a rehearsal: what is in it can change nothing of the running machine, and never outlives the carrier. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { fakeManager } from './fake-manager.fixture.ts';
import {
  endRehearsalUnit,
  isRehearsed,
  type RehearsalUnit,
  rehearsalProperties,
  runRehearsalUnit,
} from './rehearsal-unit.ts';

const unit: RehearsalUnit = {
  session: 'machine:vm',
  carrier: '/usr/lib/luo-console-agent/carrier',
  directory: '/run/luo-console/handing-over/1',
  files: [
    { path: '/proc/9/fd/4', name: 'program', readOnly: false },
    { path: '/proc/9/fd/5', name: 'memory0', readOnly: true },
  ],
  output: '/proc/9/fd/6',
  resources: { slice: 'customers.slice', memoryMax: '4096' },
  limitS: 120,
};

it('lets nothing be written but its directory, and has a network of its own', () => {
  const properties = Object.fromEntries(
    Object.entries(rehearsalProperties(unit)).map(([name, { value }]) => [name, value]),
  );
  expect(properties).toMatchObject({
    ...{ ProtectSystem: 'strict', ReadOnlyPaths: ['/dev'], ReadWritePaths: [unit.directory] },
    ...{ PrivateNetwork: true, DevicePolicy: 'closed' },
    DeviceAllow: expect.arrayContaining([['block-*', 'r']]),
    // Confinement does not apply to a command with the flag "privileged".
    ExecStartEx: [[unit.carrier, [unit.carrier, 'resume', unit.directory], ['no-env-expand']]],
    OpenFile: [
      ['/proc/9/fd/4', 'program', 0n],
      ['/proc/9/fd/5', 'memory0', 1n],
    ],
    ...{ Slice: 'machine.slice', MemoryMax: 4096n },
  });
  // The service manager would remove the running machine's directory with the unit.
  expect(Object.keys(properties).filter((name) => /^(Runtime|Logs|State)Directory/.test(name))).toEqual([]);
});

it('is over with the carrier or after the limit, and all in it is killed', () => {
  expect(rehearsalProperties(unit)).toMatchObject({
    ...{ Type: { value: 'oneshot' }, KillSignal: { value: 9 }, TimeoutStartUSec: { value: 120_000_000n } },
    SuccessExitStatus: { value: [[1], []] },
  });
});

it('is started and ended under one name, which no machine’s unit has', async () => {
  const manager = await fakeManager({ result: 'done' });
  await runRehearsalUnit(unit, manager.path);
  await endRehearsalUnit(unit.session, manager.path);
  const [started, ended] = manager.calls.filter(({ member }) => /Unit$/.test(member));
  expect([started?.member, ended?.member]).toEqual(['StartTransientUnit', 'StopUnit']);
  expect(started?.body[0]).toMatch(/^luo-rehearsal-[0-9a-f]{16}\.service$/);
  expect(ended?.body[0]).toBe(started?.body[0]);
});

it.each([
  ['/machine.slice/luo-rehearsal-0123456789abcdef.service', true],
  ['/machine.slice/luo-machine-vm.service', false],
  // Whoever a unit was delegated to may call a group below it so.
  ['/machine.slice/luo-machine-vm.service/machine.slice/luo-rehearsal-0.service', false],
  ['/user.slice/luo-rehearsal-0.service', false],
])('tells by its control group whether a process is in one: %s', (group, is) => {
  const proc = mkdtempSync(join(tmpdir(), 'luo-proc-'));
  onTestFinished(() => rmSync(proc, { recursive: true }));
  mkdirSync(join(proc, '7'));
  writeFileSync(join(proc, '7/cgroup'), `0::${group}\n`);
  expect(isRehearsed(proc, 7)).toBe(is);
  expect(isRehearsed(proc, 8)).toBe(false);
});
