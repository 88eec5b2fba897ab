// SPDX-License-Identifier: Apache-2.0
/** The carrier with a machine that needs something: it waits for that with events, and starts no VMM before. */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it, type TestContext } from 'vitest';
import type { Need } from '../../src/adoption/vmm-facts.ts';
import { readLog } from '../../src/update/program/carrier-log.ts';
import { type CarriedMachine, type CarriedOptions, kernelLogOf, marks } from './carried.fixture.ts';
import { carrierTests } from './carrier-tests.ts';

const tests = carrierTests();
let machine: CarriedMachine;
/** The carrier, where a test started it by itself. */
let child: ChildProcess | null;
/** Where what is needed is made. */
let scratch: string;
/** Takes back what a test made outside of it. */
let takeBack: () => void;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'luo-needed-'));
  takeBack = () => {};
  child = null;
});
afterEach(async () => {
  // It still waits where a test has failed or was skipped.
  if (child?.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit');
  takeBack();
  rmSync(scratch, { recursive: true });
});

const needing = (kind: Need['kind'], what: string, options: CarriedOptions = {}): void => {
  machine = tests.carried({ needs: [{ kind, what }], ...options });
};

/** Starts the carrier. Resolves once it waits, with nothing done to the machine. */
async function waits(): Promise<ChildProcess> {
  child = machine.start();
  await machine.saidSo('waits');
  expect(machine.mark).toBe(marks.untouched);
  expect(machine.vmm).toBeNull();
  return child;
}

/** What the agent reads of the machine in the carrier's log. */
function logged() {
  const read = readLog(machine.directory, native.kernel.clock('boottime')).machines.get(0);
  if (read === undefined) throw new Error('the log says nothing of the machine');
  return read;
}

/** Resolves once the machine runs. @param what it waited for, in words */
async function goesOn(carrying: ChildProcess, what: string): Promise<void> {
  const [status] = carrying.exitCode === null ? await once(carrying, 'exit') : [carrying.exitCode];
  expect(status).toBe(0);
  expect(machine.said('waits')[0]).toBe(`for ${what}`);
  const { waited, failedAt, reached } = logged();
  expect([waited[0]?.what, failedAt]).toEqual([what, null]);
  const { fromNs = 0, untilNs } = waited[0] ?? {};
  expect(untilNs ?? 0).toBeGreaterThan(fromNs);
  // It ended before its VMM was started.
  expect(reached.get('starting') ?? 0).toBeGreaterThanOrEqual(untilNs ?? Number.POSITIVE_INFINITY);
  expect(machine.report).toMatchObject({ ran: 1 });
}

/** Fails unless the machine is left as it was, because what it needs did not come. @param at the instruction that waited */
async function givesUp(what: string, at: string): Promise<void> {
  expect(await machine.resume()).toBe(1);
  expect(machine.said('waits')).toEqual([`for ${what}`]);
  expect(machine.said('failed')).toEqual([`after 1 s it still waited for ${what}`]);
  const { waited, failedAt } = logged();
  expect([waited.map((each) => each.what), failedAt]).toEqual([[what], at]);
  const { fromNs = 0, untilNs } = waited[0] ?? {};
  expect(untilNs ?? 0).toBeGreaterThan(fromNs);
  expect(machine.mark).toBe(marks.untouched);
  expect(machine.report).toBeNull();
  expect(machine.status).toMatch(/^machine 0 - failed machine:vm$/m);
}

/** Runs a program as root. Where this is not allowed, the rest of the test is skipped. */
function asRoot({ skip }: TestContext, program: string, ...words: string[]): void {
  try {
    execFileSync(program, words, { stdio: 'pipe' });
  } catch (error) {
    skip(`${program} is not allowed here: ${String(error)}`);
  }
}

describe('a path', () => {
  it('that is there is not waited for', async () => {
    needing('present', scratch);
    expect(await machine.resume()).toBe(0);
    expect(machine.said('present')).toEqual([scratch]);
    expect(machine.said('waits').join()).not.toContain(scratch);
  });

  it('that comes later is waited for', async () => {
    const file = join(scratch, 'file');
    needing('present', file);
    const carrying = await waits();
    writeFileSync(file, '');
    await goesOn(carrying, file);
  });

  it('whose directories come later too is waited for, whatever is made in between', async () => {
    const file = join(scratch, 'one/two/three/file');
    needing('present', file);
    const carrying = await waits();
    mkdirSync(join(scratch, 'one/two'), { recursive: true });
    rmSync(join(scratch, 'one'), { recursive: true });
    mkdirSync(join(scratch, 'other/two/three'), { recursive: true });
    writeFileSync(join(scratch, 'other/two/three/file'), '');
    renameSync(join(scratch, 'other'), join(scratch, 'one'));
    await goesOn(carrying, file);
  });

  it.each([
    ['in the same directory', 'by-id/device', '../device'],
    ['by its whole path', 'by-id/device', 'WHOLE/device'],
    ['as one of its directories', 'link/device', 'devices'],
  ])('behind a link that leads to nothing so far is waited for: %s', async (_how, path, target) => {
    const link = join(scratch, path.startsWith('link') ? 'link' : path);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(target.replace('WHOLE', scratch), link);
    needing('present', join(scratch, path));
    const carrying = await waits();
    mkdirSync(join(scratch, 'devices'));
    writeFileSync(join(scratch, 'devices/device'), '');
    writeFileSync(join(scratch, 'device'), '');
    await goesOn(carrying, join(scratch, path));
  });

  it('that is the node of a module that is not loaded is waited for as one that is not there', async (context) => {
    const node = join(scratch, 'node');
    // The last number there is of a misc device (major 10): no driver has it.
    asRoot(context, 'mknod', node, 'c', '10', '1048575');
    needing('present', node, { limitS: 1 });
    await givesUp(node, `present ${node}`);
  });

  it('that is the node of a device is not waited for', async (context) => {
    const node = join(scratch, 'node');
    const [, minor = ''] = /^(\d+) /m.exec(readFileSync('/proc/misc', 'utf8').trim()) ?? [];
    asRoot(context, 'mknod', node, 'c', '10', minor);
    needing('present', node);
    expect(await machine.resume()).toBe(0);
    expect(machine.said('waits').join()).not.toContain(node);
  });

  it('that is waited for is told on the console, also where the kernel was told to be quiet', async () => {
    const file = join(scratch, 'a file\nof two lines');
    const log = kernelLogOf(dirname(tests.carrier));
    writeFileSync(log, '');
    needing('present', file, { limitS: 1 });
    expect(await machine.resume()).toBe(1);
    const [, level, text] = /^<(\d)>(.*)$/s.exec(readFileSync(log, 'utf8')) ?? [];
    // What `quiet` leaves (CONSOLE_LOGLEVEL_QUIET, include/linux/printk.h): only what is below is printed.
    expect(Number(level)).toBeLessThan(4);
    expect(text).toBe(`luo: machine:vm waits for ${file.replace('\n', '?')}`);
  });

  it('that never comes is given up after the limit', async () => {
    const file = join(scratch, 'file');
    needing('present', file, { limitS: 1 });
    await givesUp(file, `present ${file}`);
  });

  it('behind a circle of links is given up at once', async () => {
    const [one, two] = [join(scratch, 'one'), join(scratch, 'two')];
    symlinkSync(two, one);
    symlinkSync(one, two);
    needing('present', one);
    expect(await machine.resume()).toBe(1);
    expect(machine.said('failed')).toEqual([`it cannot wait for ${one}: Too many levels of symbolic links`]);
  });

  it('that is a device gets its owner once it is there, also behind a link', async (context) => {
    const [node, link] = [join(scratch, 'node'), join(scratch, 'link')];
    needing('present', link, { nodes: [{ path: link, mode: 0o640, uid: 12, gid: 34 }] });
    const carrying = await waits();
    symlinkSync(node, link);
    asRoot(context, 'mknod', node, 'c', '1', '3');
    await goesOn(carrying, link);
    const { uid, gid, mode } = statSync(node);
    expect([uid, gid, mode & 0o7777]).toEqual([12, 34, 0o640]);
  });
});

describe('a mount', () => {
  it('that is there is not waited for', async () => {
    needing('mounted', '/proc');
    expect(await machine.resume()).toBe(0);
    expect(machine.said('mounted')).toEqual(['/proc']);
    expect(machine.said('waits').join()).not.toContain('/proc');
  });

  it('that comes later is waited for, by the name that mountinfo gives with its escapes', async (context) => {
    const point = join(scratch, 'a b\\c');
    mkdirSync(point);
    needing('mounted', point);
    const carrying = await waits();
    // Another mount is none.
    mkdirSync(join(scratch, 'a'));
    for (const each of [join(scratch, 'a'), point]) {
      asRoot(context, 'mount', '-t', 'tmpfs', 'none', each);
      const before = takeBack;
      takeBack = () => {
        execFileSync('umount', [each]);
        before();
      };
    }
    await goesOn(carrying, `${point} to be mounted`);
  });

  it('can bring a path that is waited for', async (context) => {
    const [point, made] = [join(scratch, 'point'), join(scratch, 'made')];
    mkdirSync(point);
    mkdirSync(made);
    writeFileSync(join(made, 'file'), '');
    needing('present', join(point, 'file'));
    const carrying = await waits();
    asRoot(context, 'mount', '--bind', made, point);
    takeBack = () => execFileSync('umount', [point]);
    await goesOn(carrying, join(point, 'file'));
  });

  it('that never comes is given up after the limit', async () => {
    needing('mounted', scratch, { limitS: 1 });
    await givesUp(`${scratch} to be mounted`, `mounted ${scratch}`);
  });
});

describe('a network interface', () => {
  const name = `luo-${process.pid % 1_000_000}`;

  it('that is there is not waited for', async () => {
    needing('interface', 'lo');
    expect(await machine.resume()).toBe(0);
    expect(machine.said('interface')).toEqual(['lo']);
    expect(machine.said('waits').join()).not.toContain('interface');
  });

  it('that comes later is waited for', async (context) => {
    needing('interface', name);
    const carrying = await waits();
    asRoot(context, 'ip', 'link', 'add', 'name', name, 'type', 'bridge');
    takeBack = () => execFileSync('ip', ['link', 'del', name]);
    await goesOn(carrying, `the network interface ${name}`);
  });

  it('that never comes is given up after the limit', async () => {
    needing('interface', name, { limitS: 1 });
    await givesUp(`the network interface ${name}`, `interface ${name}`);
  });
});
