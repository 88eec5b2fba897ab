// SPDX-License-Identifier: Apache-2.0
/** What is written down of a newly adopted machine, and the name that its session gets. */
import { describe, expect, it } from 'vitest';
import type { Machine } from '../interface/agent.generated.ts';
import { sampleMachine } from '../luocon/machine.fixture.ts';
import { machineDirectories, unitOf } from '../units/machine-unit.ts';
import { freeSessionName, headOf } from './new-adoption.ts';
import { unitNameOf } from './restore.ts';

/** This very process, as a machine. */
const headOfThis = (more: Partial<Machine>) =>
  headOf(
    { ...sampleMachine, pid: process.pid, way: 'cpr', unlinks: [], monitorPath: '/run/one.qmp', ...more },
    { unlink: false, definition: null, priority: null },
    { paths: { proc: '/proc' }, bootId: 'boot' },
  );

it('a machine is refused at adoption if the next kernel’s agent could not read what is written down of it', async () => {
  expect(await headOfThis({ name: 'n'.repeat(256) })).toMatchObject({ pid: process.pid });
  for (const more of [{ name: 'n'.repeat(257) }, { monitorPath: `/${'m'.repeat(4096)}` }]) {
    const [member = ''] = Object.keys(more);
    await expect(headOfThis(more)).rejects.toMatchObject({
      refusal: 'MachineUnusable',
      parameters: { reason: expect.stringContaining(`${member.slice(0, 4)}`) },
    });
  }
});

describe('the session of a machine', () => {
  /** The names that machines get one after the other. */
  function named(
    ...machines: (Pick<Machine, 'name' | 'pid'> & { uid: number; isPlain: boolean })[]
  ): string[] {
    const names = new Set<string>();
    for (const machine of machines) names.add(freeSessionName(machine, (name) => names.has(name)));
    return [...names];
  }
  const plain = { uid: 0, isPlain: true };
  const ofUser = { uid: 1000, isPlain: false };

  it('has its name, and its pid where that is taken', () => {
    expect(named({ name: 'web-01', pid: 7, ...plain }, { name: 'web-01', pid: 4711, ...plain })).toEqual([
      'machine:web-01',
      'machine:web-01:4711',
    ]);
  });

  it('has a user’s number behind it, so that it is no definition’s and no other user’s', () => {
    const web = { name: 'web', ...ofUser };
    expect(
      named(
        { ...web, pid: 1 },
        { ...web, pid: 2, uid: 1001 },
        { ...web, pid: 3 },
        { ...web, pid: 4, ...plain },
      ),
    ).toEqual(['machine:web@1000', 'machine:web@1001', 'machine:web@1000:3', 'machine:web']);
  });

  it('is cut to what the kernel takes, and its endings are kept', () => {
    const name = 'ä'.repeat(80);
    const all = named(
      ...[plain, ofUser].flatMap((kind) => [4711, 4712].map((pid) => ({ name, pid, ...kind }))),
    );
    expect(all.map((each) => each.replace(/ä+/, ''))).toEqual([
      ...['machine:', 'machine::4712', 'machine:@1000', 'machine:@1000:4712'],
    ]);
    for (const each of all) expect(Buffer.byteLength(each)).toBeLessThanOrEqual(63);
  });

  it('gives its unit and its directories names of their own', () => {
    const sessions = [
      'machine:web',
      'machine:web@1000',
      'machine:web@1001',
      'machine:web@1000:3',
      'machine:web:3',
    ];
    const units = sessions.map((session) => unitNameOf({ session }));
    expect(new Set(units.map(unitOf)).size).toBe(sessions.length);
    const directories = units.flatMap((unit) => Object.values(machineDirectories(unit)));
    expect(new Set(directories).size).toBe(2 * sessions.length);
    for (const directory of directories) expect(directory).toMatch(/^[a-zA-Z0-9_./-]+$/);
  });
});
