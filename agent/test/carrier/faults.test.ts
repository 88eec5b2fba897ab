// SPDX-License-Identifier: Apache-2.0
/**
 * The carrier crashes and hangs, at each instruction that a machine can have. Whatever it was, nothing is lost and no
 * state is loaded twice.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { standBack } from '../../src/host/priority.ts';
import { instructionRows } from '../../src/update/program/instructions.ts';
import { CarriedMachine, type CarriedOptions, marks } from './carried.fixture.ts';
import { carrierTests } from './carrier-tests.ts';
import { apartIn, mayMount, setApart, withAppArmor } from './security-tree.fixture.ts';

const tests = carrierTests();
const isRoot = process.getuid?.() === 0;
const confining = { name: 'luo-of-no-policy', mode: 'enforce' } as const;
const profile = `${confining.name} (${confining.mode})`;
const device = statSync('/dev/null');

/** A machine with everything that one can have here. What it needs is there. */
const whole: CarriedOptions = {
  modules: [{ does: 'module', flags: 0, path: '/nowhere/none.ko', parameters: '' }],
  needs: [
    { kind: 'mounted', what: '/proc' },
    { kind: 'present', what: '/dev/null' },
    { kind: 'interface', what: 'lo' },
    ...(mayMount ? [{ kind: 'profile', what: profile } as const] : []),
  ],
  // As it is: this is the host's own.
  nodes: [{ path: '/dev/null', mode: device.mode & 0o777, uid: device.uid, gid: device.gid }],
  directories: [{ name: 'made', mode: 0o755 }],
  // What it takes to reach the files of these tests.
  ...(isRoot
    ? {
        groups: [100_000],
        rights: { bounding: '40006', inheritable: '0', ambient: '0', noNewPrivileges: true },
      }
    : {}),
};

/** Each instruction, by its number and name, of the way that has it; of those that repeat themselves the first. */
const instructions = (() => {
  const found: { way: 'cpr' | 'named_memory'; name: string; number: number }[] = [];
  for (const way of ['cpr', 'named_memory'] as const) {
    const probe = new CarriedMachine('', { ...whole, way });
    void probe.dispose();
    const known = new Set(found.map(({ name }) => name));
    for (const [number, name] of probe.instructions.entries()) {
      const isFirst = probe.instructions.indexOf(name) === number;
      if (!known.has(name) && (isFirst || ['play', 'note'].includes(name))) found.push({ way, name, number });
    }
  }
  return found;
})();

/** In place of securityfs for the carrier only. */
let tree: string;
let machine: CarriedMachine;

beforeAll(() => {
  tree = mkdtempSync(join(tmpdir(), 'luo-faults-'));
  withAppArmor(tree, profile);
  setApart(tree, tests.carrier, true);
});
afterAll(() => rmSync(tree, { recursive: true }));

const carry = (options: CarriedOptions): void => {
  machine = tests.carried({ ...whole, ...options }, mayMount ? apartIn(tree) : tests.carrier);
};

/** Has the carrier hang, and ends it as the agent does. */
async function endHanging(where: number | string): Promise<void> {
  const child = machine.start(`hang:0:${where}`);
  await machine.saidSo('fault');
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  // The worker ends with the one that started it.
  await machine.failedEnds();
}

/** What the agent does with a machine that has not run: another VMM, from the beginning. */
async function expectAnother(): Promise<void> {
  await machine.endVmm();
  expect(machine.report?.ran ?? 0).toBe(0);
  expect(await machine.resume()).toBe(0);
  expect(machine.report).toMatchObject({ ran: 1, loaded: [expect.any(String)] });
}

it.runIf(isRoot && mayMount)('every instruction of a machine’s part is tried', () => {
  // Those that stand before all machines, and the one that begins a part.
  const ofAll = new Set(['session', 'file', 'loopback', 'writable', 'machine', 'together']);
  const tried = new Set([...instructions.map(({ name }) => name), 'label']);
  // Only a rehearsal has these, of which nothing is left after a crash (`rehearsal.test.ts`).
  const ofRehearsals = new Set(['apart', 'tap']);
  const wanted = Object.keys(instructionRows).filter((name) => !ofAll.has(name) && !ofRehearsals.has(name));
  expect([...tried].sort()).toEqual(wanted.sort());
});

describe('a crash', () => {
  it.each(instructions)(
    'at instruction $number, $name, loses nothing and loads nothing twice',
    async ({ way, number }) => {
      carry({ way });
      const status = await machine.resume(`crash:0:${number}`);
      expect(machine.said('fault').length).toBe(1);
      expect(machine.status).toMatch(/^machine 0 (-|\d+) crashed machine:vm$/m);
      if (machine.mark === marks.running) {
        // The agent asks this VMM how its guest is, and tells it to run: it has its state, once.
        expect(machine.vmmRuns).toBe(true);
        expect(machine.report?.loaded.length).toBe(1);
        expect(status).toBe(0);
        // And it puts a VMM back that still comes first.
        const { vmm } = machine;
        if (vmm === null) throw new Error('the carrier said nothing of a VMM');
        standBack('/proc', vmm, 0);
        expect(getPriority(vmm)).toBe(0);
        return;
      }
      expect(status).toBe(1);
      await expectAnother();
    },
  );
});

describe('a hang', () => {
  it.each(instructions)(
    'at instruction $number, $name, is ended with the carrier, and loses nothing',
    async ({ way, number }) => {
      carry({ way });
      await endHanging(number);
      if (machine.mark === marks.running) {
        expect(machine.vmmRuns).toBe(true);
        expect(machine.report?.loaded.length).toBe(1);
        return;
      }
      await expectAnother();
    },
  );
});

// No kernel has this profile, so such a machine is never started. Its state must be as it was all the same.
describe('at the instruction of a security label', () => {
  const expectUntouched = (): void => {
    expect(machine.said('fault').length).toBe(1);
    expect([machine.mark, machine.vmm, machine.report]).toEqual([marks.untouched, null, null]);
  };

  it('a crash leaves the machine untouched', async () => {
    carry({ profile: confining });
    expect(await machine.resume('crash:0:label')).toBe(1);
    expect(machine.status).toMatch(/^machine 0 - crashed machine:vm$/m);
    expectUntouched();
  });

  it('a hang leaves the machine untouched', async () => {
    carry({ profile: confining });
    await endHanging('label');
    expectUntouched();
  });
});
