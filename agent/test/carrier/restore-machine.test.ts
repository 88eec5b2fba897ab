// SPDX-License-Identifier: Apache-2.0
/** A machine that the agent itself has the carrier bring back: the same program, executed by the same executor. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '@luo-console/native';
import { describe, expect, it } from 'vitest';
import { isUnitThere, RanPerhaps, type RestartLog } from '../../src/adoption/restore.ts';
import { ManagerRefusal } from '../../src/units/manager-bus.ts';
import { MadeUpVmmProc } from '../../src/update/program/made-up-vmm.fixture.ts';
import { restoreMachine } from '../../src/update/program/restore-machine.ts';
import { type CarriedMachine, type CarriedOptions, marks } from './carried.fixture.ts';
import { carrierTests } from './carrier-tests.ts';

const tests = carrierTests();
let machine: CarriedMachine;

function restoring(options: CarriedOptions = {}, fault = '', proc = '/proc') {
  machine = tests.carried(options);
  return machine.restoring(fault, { proc });
}

/** What is left where the carrier worked. */
const left = (directory: string): string[] => (existsSync(directory) ? readdirSync(directory) : []);

describe('a machine', () => {
  it.each(['cpr', 'named_memory', 'whole_state'] as const)('goes on, %s', async (way) => {
    const options = restoring({ way });
    expect(await restoreMachine(options)).toBe(machine.vmm);
    expect(options.asked).toEqual(['resume vm']);
    expect(machine.report).toMatchObject({ pid: machine.vmm, ran: 1, loaded: [expect.any(String)] });
    expect(machine.report?.pieces.flatMap(({ files }) => files)).toEqual(way === 'cpr' ? ['the memory'] : []);
    expect(machine.report?.handed).toEqual(way === 'named_memory' ? ['named memory'] : []);
    expect(machine.mark).toBe(marks.running);
    expect([...options.points.keys()]).toEqual(['starting', 'loading', 'loaded', 'running']);
    const times = [...options.points.values()];
    expect(times).toEqual(times.toSorted((one, other) => one - other));
    expect(times.at(-1)).toBeLessThanOrEqual(Number(native.kernel.clock('boottime')));
    expect(left(options.socketDirectory)).toEqual([]);
  });

  it('that was paused when it was saved stays so, with a mark', async () => {
    const options = restoring({ ran: false });
    await restoreMachine(options);
    expect(machine.report).toMatchObject({ ran: 0, loaded: [expect.any(String)] });
    expect(machine.mark).toBe(marks.running);
    expect(options.points.has('running')).toBe(true);
  });

  it.each([
    ['whole_state', 'no-incoming', 'it will not', ['starting']],
    ['cpr', 'die', 'cpr: it ended', ['starting']],
    ['cpr', 'bad-state', 'no such device', ['starting', 'loading']],
  ] as const)(
    'that cannot be loaded is stopped, in the words of the carrier: %s, %s',
    async (way, whim, why, points) => {
      const options = restoring({ way, whim });
      await expect(restoreMachine(options)).rejects.toThrow(why);
      expect(options.asked).toEqual(['resume vm', 'stop vm']);
      expect([...options.points.keys()]).toEqual(points);
      expect([machine.mark, machine.vmmRuns]).toEqual([marks.starting, false]);
      expect(left(options.socketDirectory)).toEqual([]);
    },
  );

  it('whose needs are not met is not started, and not waited for long', async () => {
    const options = restoring({ needs: [{ kind: 'mounted', what: '/srv/never mounted' }] });
    const logs: RestartLog[] = [];
    await expect(restoreMachine({ ...options, logged: (log) => logs.push(log) })).rejects.toThrow(
      'after 1 s it still waited for /srv/never mounted to be mounted',
    );
    expect(logs).toMatchObject([
      {
        waited: [{ what: '/srv/never mounted to be mounted', untilNs: expect.any(Number) }],
        failedAt: 'mounted /srv/never mounted',
      },
    ]);
    expect([machine.mark, machine.vmm]).toEqual([marks.untouched, null]);
  });

  it('waits for its needs as long as it is told to', async () => {
    const options = restoring({ needs: [{ kind: 'mounted', what: '/srv/never mounted' }] });
    await expect(restoreMachine({ ...options, needLimitS: 2 })).rejects.toThrow(
      'after 2 s it still waited for /srv/never mounted to be mounted',
    );
  });

  it('gets the modules of the running kernel, before it waits for what they make', async () => {
    using proc = new MadeUpVmmProc();
    const directory = join(proc.root, 'lib/modules/7.3.4-b');
    mkdirSync(directory, { recursive: true });
    // Nothing of this kernel has such a file: the carrier tells of it, and goes on.
    writeFileSync(join(directory, 'modules.dep'), '/nowhere/tun.ko: /nowhere/below.ko\n/nowhere/below.ko:\n');
    mkdirSync(join(proc.directory, 'sys/kernel/random'), { recursive: true });
    const told = { osrelease: '7.3.4-b', hostname: 'host', 'random/boot_id': 'boot' };
    for (const [name, value] of Object.entries(told))
      writeFileSync(join(proc.directory, 'sys/kernel', name), `${value}\n`);
    writeFileSync(join(proc.directory, 'cmdline'), 'root=/dev/vda tun.debug=1\n');
    const needs = [{ kind: 'present', what: '/dev/null' }] as const;
    const options = restoring({ makers: ['tun'], needs }, '', proc.directory);
    const logs: RestartLog[] = [];
    await restoreMachine({ ...options, logged: (log) => logs.push(log) });
    expect(options.warnings).toEqual([]);
    const done = logs.flatMap((log) => log.done.map(({ what }) => what));
    expect(done.filter((what) => /^(module|present) /.test(what))).toEqual([
      'module /nowhere/below.ko',
      'module /nowhere/tun.ko',
      'present /dev/null',
    ]);
  });

  it('goes on without modules where it is unknown which kernel runs', async () => {
    using proc = new MadeUpVmmProc();
    const options = restoring({ makers: ['tun'] }, '', proc.directory);
    expect(await restoreMachine(options)).toBe(machine.vmm);
    expect(options.warnings).toEqual([
      'it is unknown which kernel runs: no modules are loaded for a machine',
    ]);
  });

  it('that does not say whether it runs is not stopped: the guest may have run', async () => {
    const options = restoring({ whim: 'no-cont' });
    const failed = await restoreMachine(options).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(RanPerhaps);
    expect(failed).toMatchObject({ message: expect.stringContaining('it will not') });
    expect(options.asked).toEqual(['resume vm']);
    expect([machine.mark, machine.vmmRuns]).toEqual([marks.running, true]);
    expect([...options.points.keys()]).toEqual(['starting', 'loading', 'loaded']);
  });

  it('whose worker crashes is stopped, and runs when it is tried again', async () => {
    const options = restoring();
    const crashing = machine.restoring(`crash:0:${machine.instructions.indexOf('shut')}`);
    await expect(restoreMachine(crashing)).rejects.toThrow(
      "the carrier's process for it was ended by signal",
    );
    expect(crashing.asked).toEqual(['resume vm', 'stop vm']);
    await machine.endVmm();
    expect(await restoreMachine(options)).toBe(machine.vmm);
    expect(machine.report).toMatchObject({ ran: 1, loaded: [expect.any(String)] });
  });

  it('is not started where there is a unit of its name, which is left alone', async () => {
    const options = restoring();
    const there = new ManagerRefusal('org.freedesktop.systemd1.UnitExists', 'it is loaded');
    const starter = { ...options.starter, resume: () => Promise.reject(there) };
    const failed = await restoreMachine({ ...options, starter }).catch((error: unknown) => error);
    expect(failed).toBe(there);
    expect(isUnitThere(failed)).toBe(true);
    expect([options.asked, machine.mark]).toEqual([[], marks.untouched]);
  });

  it('that may have run is not started at all', async () => {
    const options = restoring();
    machine.mark = marks.running;
    await expect(restoreMachine(options)).rejects.toBeInstanceOf(RanPerhaps);
    expect([options.asked, machine.report]).toEqual([[], null]);
  });

  it('that the carrier tells to run while the service manager cannot be heard is not loaded again', async () => {
    const options = restoring();
    const starter = {
      ...options.starter,
      resume: () => Promise.reject(new Error('the service manager ended the connection')),
      // As a carrier does that nobody has stopped yet.
      stop: async () => {
        machine.mark = marks.running;
      },
    };
    await expect(restoreMachine({ ...options, starter })).rejects.toThrow(
      'it was told to run, and then: the service manager ended the connection',
    );
  });

  it.each([
    ['cannot be found', 'it has no process'],
    ['is not heard of', 'no space is left'],
  ])('that runs may have run, though it %s', async (what, why) => {
    const options = restoring();
    const fail = (): never => {
      throw new Error(why);
    };
    const starter = { ...options.starter, pid: async () => fail() };
    const failing = what === 'cannot be found' ? { ...options, starter } : { ...options, reached: fail };
    const failed = await restoreMachine(failing).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(RanPerhaps);
    expect(failed).toMatchObject({ message: expect.stringContaining(why) });
    expect(options.asked).toEqual(['resume vm']);
  });

  it('of which a file is missing is not started', async () => {
    const options = restoring();
    const missing = new Error('descriptor 0x1 is missing');
    const file = (): never => {
      throw missing;
    };
    await expect(restoreMachine({ ...options, file })).rejects.toBe(missing);
    expect([options.asked, left(options.socketDirectory)]).toEqual([[], []]);
  });
});
