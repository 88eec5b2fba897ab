// SPDX-License-Identifier: Apache-2.0
/**
 * The carrier with a machine that a profile of AppArmor confines. What is loaded is in a made-up tree, mounted in place of
 * securityfs for the carrier only. The label itself is set by a kernel with AppArmor in the lab (`labels.lab.ts`).
 */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CarriedMachine, type CarriedOptions, marks } from './carried.fixture.ts';
import { carrierTests } from './carrier-tests.ts';
import { apartIn, mayMount, mounting, setApart, withAppArmor } from './security-tree.fixture.ts';

const wanted = 'libvirt-1 (enforce)';
const words = `the security profile ${wanted}`;

const tests = carrierTests();
let machine: CarriedMachine;
let child: ChildProcess | null;
/** What is mounted as securityfs. */
let tree: string;

beforeEach(() => {
  tree = mkdtempSync(join(tmpdir(), 'luo-policy-'));
  child = null;
});
afterEach(async () => {
  if (child?.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit');
  await machine.dispose();
  rmSync(tree, { recursive: true });
});

const confined = (options: CarriedOptions = {}): void => {
  machine = new CarriedMachine(apartIn(tree), { needs: [{ kind: 'profile', what: wanted }], ...options });
};

/** Starts the carrier. Resolves once it waits, with nothing done to the machine. */
async function waits(mounted: boolean): Promise<ChildProcess> {
  setApart(tree, tests.carrier, mounted);
  child = machine.start();
  await machine.saidSo('waits');
  expect(machine.said('waits')).toEqual([`for ${words}`]);
  expect([machine.mark, machine.vmm]).toEqual([marks.untouched, null]);
  return child;
}

/** Loads a profile, and says so as the kernel does. */
async function load(profile: string, events: FileHandle): Promise<void> {
  appendFileSync(join(tree, 'apparmor/profiles'), `${profile}\n`);
  // Woken for the profile before, it may have read of this one already, and listen no more.
  await events.write('2\n').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

async function runs(carrying: ChildProcess): Promise<void> {
  const [status] = carrying.exitCode === null ? await once(carrying, 'exit') : [carrying.exitCode];
  expect([status, machine.report]).toMatchObject([0, { ran: 1 }]);
  expect(machine.said('profile')).toEqual([wanted]);
}

describe.runIf(mayMount)('a security profile', () => {
  it('that is loaded is not waited for', async () => {
    withAppArmor(tree, 'other (enforce)', wanted, 'last (complain)');
    confined();
    setApart(tree, tests.carrier, true);
    expect(await machine.resume()).toBe(0);
    expect(machine.said('waits').join()).not.toContain('profile');
    expect(machine.said('profile')).toEqual([wanted]);
  });

  it('that is loaded later is waited for, and no other one is taken for it', async () => {
    withAppArmor(tree, 'libvirt-1 (complain)', 'libvirt-1//child (enforce)', 'libvirt-12 (enforce)');
    confined();
    const carrying = await waits(true);
    // Resolves once the carrier has it open.
    const events = await open(join(tree, 'apparmor/revision'), 'w');
    await load('xlibvirt-1 (enforce)', events);
    await load(wanted, events);
    await runs(carrying);
    await events.close();
  });

  it('is waited for although securityfs is not mounted yet', async () => {
    withAppArmor(tree);
    confined();
    const carrying = await waits(false);
    execFileSync('nsenter', ['--target', `${carrying.pid}`, '--mount', ...mounting(tree)]);
    const events = await open(join(tree, 'apparmor/revision'), 'w');
    expect(machine.vmm).toBeNull();
    await load(wanted, events);
    await runs(carrying);
    await events.close();
  });

  it('that is never loaded is given up after the limit, and its VMM is not started', async () => {
    withAppArmor(tree, 'libvirt-1 (unconfined)');
    confined({ limitS: 1, profile: { name: 'libvirt-1', mode: 'enforce' } });
    setApart(tree, tests.carrier, true);
    expect(await machine.resume()).toBe(1);
    expect(machine.said('failed')).toEqual([`after 1 s it still waited for ${words}`]);
    expect(machine.said('at')).toEqual([`profile ${wanted}`]);
    expect([machine.mark, machine.report]).toEqual([marks.untouched, null]);
  });

  it('is not waited for where the kernel runs without AppArmor, and its VMM is not started', async () => {
    confined({ profile: { name: 'libvirt-1', mode: 'enforce' } });
    setApart(tree, tests.carrier, true);
    expect(await machine.resume()).toBe(1);
    const failed = `${words} cannot be loaded: the kernel runs without AppArmor`;
    expect([machine.said('failed'), machine.said('waits')]).toEqual([[failed], []]);
    expect([machine.mark, machine.report]).toEqual([marks.untouched, null]);
  });
});

describe('a security label', () => {
  it('that the kernel does not give is the end of the start: nothing runs without it', async () => {
    // No policy has it, wherever this runs.
    machine = new CarriedMachine(tests.carrier, { profile: { name: 'luo-of-no-policy', mode: 'enforce' } });
    expect(await machine.resume()).toBe(1);
    expect(machine.said('failed')[0]).toMatch(
      /^setting the security label luo-of-no-policy: (No such file or directory|Invalid argument)$/,
    );
    expect(machine.report).toBeNull();
    expect(machine.vmmRuns).toBe(false);
    expect(machine.mark).toBe(marks.starting);
  });
});
