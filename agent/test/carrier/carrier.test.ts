// SPDX-License-Identifier: Apache-2.0
/** The carrier with programs that the agent compiles: what a VMM is given and told, and what is left when it fails. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { getPriority } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { instructionRows } from '../../src/update/program/instructions.ts';
import { marks } from './carried.fixture.ts';
import { carrierTests } from './carrier-tests.ts';

const tests = carrierTests();

it('knows the same instructions as the agent', () => {
  const table = execFileSync(tests.carrier, ['table'], { encoding: 'utf8' }).trim().split('\n');
  const rows = Object.entries(instructionRows).map(
    ([name, { code, numbers, texts, most }]) =>
      `${code} ${name} ${numbers.length} ${texts.length} ${most?.count ?? 0}`,
  );
  expect(table).toEqual(rows);
});

describe('a machine', () => {
  it.each(['cpr', 'named_memory', 'whole_state'] as const)('goes on, %s', async (way) => {
    const machine = tests.carried({ way });
    const { saved, directory } = machine;
    expect(await machine.resume()).toBe(0);
    const { report } = machine;
    expect(report).toMatchObject({ pid: machine.vmm, directory, ran: 1 });
    expect(report?.words).toEqual(expect.arrayContaining(['-S', '-incoming']));
    expect(report?.loaded.map((each) => each.length)).toEqual([saved.state?.mainBytes]);
    const pieces = [
      { text: 'QCPR first piece', files: ['the memory'] },
      { text: 'and the second', files: [] },
    ];
    expect(report?.pieces).toEqual(way === 'cpr' ? pieces : []);
    expect(report?.handed).toEqual(way === 'named_memory' ? ['named memory'] : []);
    // Once the guest runs, its migration settings are put back.
    expect(report?.told.slice(-2)).toEqual(['cont', 'migrate-set-capabilities']);
    expect(machine.mark).toBe(marks.running);
    expect(machine.status).toContain(`machine 0 ${machine.vmm} running machine:vm`);
    expect(machine.status).toContain('state done');
  });

  it.runIf(process.getuid?.() === 0).each([0, 5, -3])(
    'comes first on the processors until its state is loaded, and then is where it was: %i',
    async (nice) => {
      const machine = tests.carried({ nice });
      expect(await machine.resume()).toBe(0);
      // What it starts meanwhile does not come first: its user could keep that.
      expect(machine.report?.nice).toEqual([-20, 0]);
      const { vmm } = machine;
      const threads = readdirSync(`/proc/${vmm}/task`).map(Number);
      expect(threads.length).toBeGreaterThan(1);
      expect(threads.filter((thread) => getPriority(thread) !== nice)).toEqual([]);
    },
  );

  it.each([
    { whim: 'keeps-settings', vmmRuns: true },
    { whim: 'dies-at-settings', vmmRuns: false },
  ])('whose settings cannot be put back has come back all the same: $whim', async ({ whim, vmmRuns }) => {
    const machine = tests.carried({ whim });
    expect(await machine.resume()).toBe(0);
    expect(machine.said('failed')).toEqual([]);
    expect(machine.said('running')).toEqual(['']);
    expect(machine.report).toMatchObject({ ran: 1 });
    expect(machine.mark).toBe(marks.running);
    await expect.poll(() => machine.vmmRuns).toBe(vmmRuns);
  });

  it('that was paused stays so', async () => {
    const machine = tests.carried({ ran: false });
    expect(await machine.resume()).toBe(0);
    expect(machine.report).toMatchObject({ ran: 0, loaded: [expect.any(String)] });
    expect(machine.said('running')).toEqual(['']);
  });

  it('whose VMM tells that it has loaded its state before it answers, goes on', async () => {
    const machine = tests.carried({ whim: 'event-first' });
    expect(await machine.resume()).toBe(0);
    expect(machine.report).toMatchObject({ ran: 1 });
  });

  it('that had suspended itself to memory is as it was, and is no failure', async () => {
    const machine = tests.carried({ whim: 'suspended' });
    expect(await machine.resume()).toBe(0);
    expect(machine.said('failed')).toEqual([]);
    expect(machine.said('running')).toEqual(['']);
    expect([machine.mark, machine.vmmRuns]).toEqual([marks.running, true]);
  });

  it('leaves a time for each thing that was done, one after the other', async () => {
    const machine = tests.carried();
    await machine.resume();
    const { log } = machine;
    const done = log.filter(({ machine: number }) => number === 0).map(({ event }) => event);
    const quiet = [
      'directory',
      'user',
      'group',
      'limit',
      'variable',
      'stand',
      'umask',
      'word',
      'hand',
      'note',
    ];
    const notes = ['starting', 'loading', 'loaded', 'told', 'running'];
    expect(done.filter((event) => ![...notes, 'waits'].includes(event))).toEqual(
      machine.instructions.filter((each) => !quiet.includes(each)),
    );
    expect(done.filter((event) => notes.includes(event))).toEqual(notes);
    expect(machine.said('waits')[0]).toContain('/cpr');
    const times = log.map(({ ns }) => ns);
    expect(times).toEqual(times.toSorted((one, other) => one - other));
  });

  it('has the output of whoever has it resumed, and no file for it', async () => {
    const machine = tests.carried();
    const child = machine.start('', 'pipe');
    const said: string[] = [];
    child.stdout?.on('data', (piece) => said.push(String(piece)));
    const [status] = await once(child, 'exit');
    expect(status).toBe(0);
    await machine.endVmm();
    if (child.stdout && !child.stdout.readableEnded) await once(child.stdout, 'end');
    expect(said.join('')).toBe('QEMU says hello\n');
    expect(existsSync(join(machine.directory, '0.out'))).toBe(false);
  });

  it('gets no directory below a link, which may be a user’s', async () => {
    const machine = tests.carried({ directories: [{ name: 'way/below', mode: 0o755 }] });
    const elsewhere = join(machine.directory, 'elsewhere');
    mkdirSync(elsewhere);
    symlinkSync(elsewhere, join(machine.directory, 'way'));
    expect(await machine.resume()).toBe(1);
    expect(machine.said('failed').join()).toContain('way/below');
    expect(existsSync(join(elsewhere, 'below'))).toBe(false);
    expect(machine.mark).toBe(marks.untouched);
  });

  it('has a status that nobody else can write', async () => {
    const machine = tests.carried();
    await machine.resume();
    expect(statSync(join(machine.directory, 'status')).mode & 0o777).toBe(0o600);
  });

  it('has its directories made as they were, and those that are there left alone', async () => {
    const machine = tests.carried({
      directories: [
        { name: 'vms', mode: 0o2771 },
        { name: 'vms/one', mode: 0o1730 },
        { name: 'there', mode: 0o2770 },
      ],
    });
    const modeOf = (name: string): number => statSync(join(machine.directory, name)).mode & 0o7777;
    mkdirSync(join(machine.directory, 'there'), { mode: 0o700 });
    expect(await machine.resume()).toBe(0);
    expect(['vms', 'vms/one', 'there'].map(modeOf)).toEqual([0o2771, 0o1730, 0o700]);
  });

  it.each([
    ['whose guest has run', marks.running],
    ['of a settled update', 3],
    ['of a settled update, whose guest has run', 4],
  ])('%s is not started, and its mark stays', async (_which, mark) => {
    const machine = tests.carried();
    machine.mark = mark;
    expect(await machine.resume()).toBe(1);
    expect(machine.said('failed').join()).toContain(`its mark is ${mark} already`);
    expect([machine.mark, machine.report]).toEqual([mark, null]);
  });

  it('whose state is shorter than its record says is not started', async () => {
    const machine = tests.carried({ way: 'whole_state', keptBytes: 1000 });
    expect(await machine.resume()).toBe(1);
    expect(machine.said('failed')).toEqual(['its saved state is shorter than its record says']);
    expect(machine.report).toBeNull();
  });

  it.each([
    ['cpr', 'die', 'cpr: it ended'],
    ['cpr', 'die-at-state', 'the VMM'],
    ['cpr', 'bad-state', 'failed'],
    ['whole_state', 'no-incoming', 'it will not'],
  ] as const)('whose VMM fails is left to be tried again: %s, %s', async (way, whim, why) => {
    const machine = tests.carried({ way, whim });
    expect(await machine.resume()).toBe(1);
    expect(machine.said('failed').join()).toContain(why);
    expect(machine.mark).toBe(marks.starting);
    expect(machine.vmmRuns).toBe(false);
    expect(machine.status).toMatch(/^machine 0 \d+ failed machine:vm$/m);
  });

  it('goes on without a module of the kernel that cannot be loaded, and tells of it', async () => {
    const directory = dirname(tests.carrier);
    const module = (name: string) =>
      ({ does: 'module', flags: 0, path: join(directory, name), parameters: 'debug=1' }) as const;
    writeFileSync(join(directory, 'none.ko'), 'no module');
    const machine = tests.carried({ modules: [module('none.ko'), module('missing.ko')] });
    expect(await machine.resume()).toBe(0);
    expect(machine.said('module')).toEqual([join(directory, 'none.ko'), join(directory, 'missing.ko')]);
    const problems = machine.said('problem');
    expect(problems).toEqual([
      expect.stringContaining(`module ${directory}/none.ko: `),
      `module ${directory}/missing.ko: No such file or directory`,
    ]);
    expect(machine.report).toMatchObject({ ran: 1 });
  });

  it('that is not told to run by its VMM keeps the VMM, for its guest may have run', async () => {
    const machine = tests.carried({ whim: 'no-cont' });
    // Whoever had it resumed must not end what it has started.
    expect(await machine.resume()).toBe(0);
    expect(machine.said('failed').join()).toContain('it will not');
    expect(machine.mark).toBe(marks.running);
    expect(machine.vmmRuns).toBe(true);
  });

  it('is not touched by a program that is damaged', async () => {
    const machine = tests.carried();
    machine.program[200] = (machine.program[200] ?? 0) ^ 1;
    expect(await machine.resume()).toBe(2);
    expect(machine.said('failed').join()).toContain('it is damaged');
    expect(machine.report).toBeNull();
    expect(machine.mark).toBe(marks.untouched);
  });
});

it('passes on what a VMM has written and writes, until the VMM ends', async () => {
  const directory = dirname(tests.carrier);
  const fifo = join(directory, 'out');
  execFileSync('mkfifo', [fifo]);
  const vmm = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  writeSync(vmm, 'written before\n');
  const relay = spawn(tests.carrier, ['relay', fifo], { stdio: ['ignore', 'pipe', 'inherit'] });
  const said: string[] = [];
  relay.stdout.setEncoding('utf8').on('data', (text: string) => said.push(text));
  // What is left behind has the other end.
  const [status] = await once(relay, 'exit');
  expect(status).toBe(0);
  writeSync(vmm, 'and after\n');
  closeSync(vmm);
  await once(relay.stdout, 'end');
  expect(said.join('')).toBe('written before\nand after\n');
});
