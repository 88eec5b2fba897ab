// SPDX-License-Identifier: Apache-2.0
/** How `luocon` tells what became of the machines in a live update. */
import { describe, expect, it } from 'vitest';
import { type AgentHandlers, sampleStatus, sampleUpdate, serveAgent } from '../client/fake-agent.fixture.ts';
import type {
  KernelImage,
  MachineRun,
  MachineStage,
  Plan,
  Progress,
  Refusing,
} from '../interface/agent.generated.ts';
import { plannedMachine } from '../update/plan/planned-machine.fixture.ts';
import { luocon } from './luocon.fixture.ts';
import { sampleGraph, sampleMachine } from './machine.fixture.ts';

const kernel: KernelImage = {
  ...{ path: '/boot/b', release: '7.3.4-b', initrd: null, size: 1, modifiedAtUs: 1, running: false },
  ...{ verdict: 'compatible', reason: '', handoverVersions: [] },
};

const plan: Plan = {
  ...{ id: 'p-1', createdAtUs: 1, kernel, commandLine: '', steps: [], checks: [], runnable: true },
  machines: [
    plannedMachine('one', {
      ...{ pid: 100, session: 'machine-one', detail: 'QEMU hands it on.', risk: 'It stands still.' },
      ...{ expectedBlackoutUs: 45_000, priority: 10, saveLimitUs: 10_000_000 },
    }),
    plannedMachine('two', {
      ...{
        pid: 101,
        way: 'none',
        session: null,
        memory: null,
        leave: true,
        detail: 'It ends.',
        priority: null,
      },
    }),
  ],
  graph: sampleGraph,
  ifMachineFails: 'leave',
  expectedBlackouts: { firstUs: 2_500_000, meanUs: 4_250_000, worstUs: 6_000_000 },
  stopLimitUs: 20_000_000,
};

const run = (stage: MachineStage, more: Partial<MachineRun> = {}): MachineRun => ({
  ...{ name: 'one', pid: 100, newPid: null, way: 'cpr', session: 'machine-one', stage, detail: '' },
  ...{ brownoutUs: null, suspendedAtUs: null, blackoutUs: null, parts: [] },
  ...{ waits: [], failedAt: null, instructions: null, stateBytes: null, ...more },
});

const ended = run('resumed', {
  ...{ newPid: 42, brownoutUs: 2_000_000, suspendedAtUs: 1, blackoutUs: 900_000 },
  parts: [
    { part: 'save', startedAtUs: 0, durationUs: 3000 },
    { part: 'kexec', startedAtUs: 3000, durationUs: 120_000 },
    { part: 'load', startedAtUs: 700_000, durationUs: 50_000 },
    { part: 'load', startedAtUs: 760_000, durationUs: 20_000 },
  ],
});

const progress = (machines: MachineRun[]): Progress => ({
  ...{ update: 'u-1', phase: 'suspending', phaseStartedAtUs: 1, startedAtUs: 1, step: null },
  ...{ message: 'machines stop', done: null, total: null, graceEndsAtUs: null, mayAbort: true, machines },
});

/** An agent whose update ends with these machines. */
function updating(machines: MachineRun[], more: Partial<AgentHandlers> = {}): string {
  return serveAgent({
    GetStatus: async () => ({ status: sampleStatus }),
    ListKernels: async () => ({ kernels: [kernel], loaded: null }),
    MakePlan: async () => ({ plan }),
    ListMachines: async () => ({ machines: [sampleMachine], graph: sampleGraph }),
    GetMachine: async ({ pid }) => ({ machine: { ...sampleMachine, pid } }),
    RunUpdate: async (_, call) => {
      await call.reply({ progress: progress([run('waiting')]) });
      await call.reply({ progress: progress([run('suspending')]) });
      await call.reply({ progress: progress([run('suspending')]) });
      return { progress: progress([run('saved', { detail: '3 MiB of state' })]) };
    },
    FollowUpdate: async () => ({ progress: null, update: { ...sampleUpdate, machines } }),
    ...more,
  }).address;
}

describe('machines in a live update', () => {
  it('are in the plan, with what happens to each', async () => {
    const { stdout } = await luocon(['--host', updating([]), 'plan', '7.3.4-b']);
    expect(stdout).toMatch(
      /^one +100 +64 MiB +carried over +cpr-transfer +10 +over 45 ms +10\.0 s +machine-one$/m,
    );
    expect(stdout).toMatch(/^two +101 +left behind +none$/m);
    expect(stdout).toContain('    one: QEMU hands it on. Risk: It stands still.\n');
    expect(stdout).toContain('Order: ram → one\n');
    expect(stdout).toContain('Stop limit: 20.0 s. After that the update is aborted');
    expect(stdout).toContain('Blackouts (estimate): first 2.5 s, mean 4.3 s, worst 6.0 s.\n');
    expect(stdout).toContain(
      'If a machine cannot be saved: it is left behind and ends; the update goes on.\n',
    );
  });

  it('are left behind, and their failing is dealt with, as asked', async () => {
    const asked: unknown[] = [];
    const address = updating([], {
      MakePlan: async (parameters) => {
        asked.push(parameters);
        return { plan };
      },
    });
    const leave = ['--leave', 'one', '--leave', '7', '--if-machine-fails', 'leave', '--stop-limit', '40'];
    await luocon(['--host', address, 'plan', '7.3.4-b', ...leave]);
    expect(asked).toMatchObject([
      { kernel: '/boot/b', leave: [100, 7], ifMachineFails: 'leave', stopLimitSeconds: 40 },
    ]);
    const endless = await luocon(['--host', address, 'plan', '7.3.4-b', '--stop-limit', '7201']);
    expect(endless).toMatchObject({ status: 2, stderr: expect.stringContaining('from 1 to 7200') });
    const wrong = await luocon(['--host', address, 'plan', '7.3.4-b', '--if-machine-fails', 'weep']);
    expect(wrong.status).toBe(2);
    const made = await luocon(['--host', address, 'update', 'p-1', '--yes', ...leave]);
    expect(made).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('is a plan, which has these already'),
    });
  });

  it('have a line for each stage they come to, and a report of their blackout', async () => {
    const { status, stdout } = await luocon(['--host', updating([ended]), 'update', 'p-1', '--yes']);
    expect(status).toBe(0);
    const lines = stdout.split('\n').map((text) => text.replace(/^[0-9:.]{12} {2}/, ''));
    expect(lines.slice(1, 4)).toEqual([
      'suspending: machines stop',
      'one: suspending',
      'one: saved (3 MiB of state)',
    ]);
    expect(stdout).toMatch(/^one +100, then 42 +cpr-transfer +runs again +2\.0 s +900 ms$/m);
    expect(stdout).toMatch(/^BLACKOUT OF +SAVE +KEXEC +BOOT +USERSPACE +RETRIEVE +START +LOAD +RESUME$/m);
    expect(stdout).toMatch(/^one +3\.0 ms +120 ms +70 ms$/m);
  });

  it('have what they waited for in the report, to the millisecond, and the instruction that failed', async () => {
    const waits = [
      { what: '/srv/slow to be mounted', startedAtUs: 2_345_678, durationUs: 12_001_499 },
      { what: 'its VMM to listen on /run/luo/0', startedAtUs: 14_400_000, durationUs: null },
    ];
    const late = { ...ended, waits, failedAt: 'until "running"' };
    const held = run('held', { name: 'two', failedAt: 'mounted /srv/slow', waits: null });
    const { stdout } = await luocon(['--host', updating([late, held]), 'update', 'p-1', '--yes']);
    expect(stdout).toMatch(/^MACHINE +WAITED FOR +AFTER +TOOK$/m);
    expect(stdout).toMatch(/^one +\/srv\/slow to be mounted +2\.346 s +12\.001 s$/m);
    expect(stdout).toMatch(/^one +its VMM to listen on \/run\/luo\/0 +14\.400 s +unknown$/m);
    const failed = 'failed at this instruction of its resume program:';
    expect(stdout).toContain(`\ntwo ${failed} mounted /srv/slow\n`);
    expect(stdout).not.toContain(`one ${failed}`);
    const json = await luocon(['--host', updating([late]), '--json', 'update', 'p-1', '--yes']);
    expect(json.stdout).toContain('/srv/slow to be mounted');
  });

  it('have the kernel’s boot in the report, and the time of each instruction where it is asked for', async () => {
    const instructions = [
      { what: 'mounted /srv/slow', times: 1, doneAtUs: 2_345_678 },
      { what: 'play', times: 12, doneAtUs: 3_000_400 },
    ];
    const bootStretches = [
      { what: 'giving out memory', startedAtUs: 26_611, durationUs: 10_901 },
      { what: 'the rest', startedAtUs: null, durationUs: 788_951 },
    ];
    const update = { ...sampleUpdate, bootStretches, machines: [{ ...ended, instructions }] };
    const { address } = serveAgent({ GetUpdate: async () => ({ update }) });
    const history = ['--host', address, 'history', 'u-1'];
    const { stdout } = await luocon(history);
    expect(stdout).toMatch(/^BOOT OF THE KERNEL +AFTER +TOOK$/m);
    expect(stdout).toMatch(/^giving out memory +0\.027 s +0\.011 s$/m);
    expect(stdout).toMatch(/^the rest +0\.789 s$/m);
    expect(stdout).not.toContain('mounted /srv/slow');
    const asked = await luocon([...history, '--instructions']);
    expect(asked.stdout).toMatch(/^MACHINE +DONE AFTER +INSTRUCTION$/m);
    expect(asked.stdout).toMatch(/^one +2\.346 s +mounted \/srv\/slow$/m);
    expect(asked.stdout).toMatch(/^one +3\.000 s +play \(12 times\)$/m);
  });

  it('have nothing of that in the record of an older agent', async () => {
    const update = { ...sampleUpdate, bootStretches: null, machines: [{ ...ended, instructions: null }] };
    const { address } = serveAgent({ GetUpdate: async () => ({ update }) });
    const { stdout } = await luocon(['--host', address, 'history', 'u-1', '--instructions']);
    expect(stdout).not.toContain('BOOT OF THE KERNEL');
    expect(stdout).toContain('\nThe record has no times of instructions.\n');
  });

  it('have a line for each thing they wait for, and none for how far they are loaded', async () => {
    const details = ['waits for /srv/slow to be mounted', 'waits for br0', 'waits for br0'];
    const address = updating([ended], {
      RunUpdate: async (_, call) => {
        for (const detail of details)
          await call.reply({ progress: progress([run('retrieving', { detail })]) });
        for (const detail of ['2 MiB', '1 MiB'])
          await call.reply({ progress: progress([run('loading', { detail })]) });
        return { progress: progress([run('resumed')]) };
      },
    });
    const { stdout } = await luocon(['--host', address, 'update', 'p-1', '--yes']);
    const lines = stdout.split('\n').flatMap((text) => / {2}(one: .*)$/.exec(text)?.slice(1) ?? []);
    expect(lines).toEqual([
      'one: retrieving (waits for /srv/slow to be mounted)',
      'one: retrieving (waits for br0)',
      'one: loading (2 MiB)',
      'one: runs again',
    ]);
  });

  it.each(['held', 'lost'] as const)('that are %s are no success', async (stage) => {
    const address = updating([ended, run(stage, { name: 'two', detail: 'QEMU refused its state' })]);
    const { status, stdout } = await luocon(['--host', address, 'update', 'p-1', '--yes']);
    expect(status).toBe(5);
    expect(stdout).toMatch(/^updated, but 1 of 2 machines is not running/m);
    expect(stdout).toMatch(/^two +100 +cpr-transfer +(held: not running|lost) .*QEMU refused its state$/m);
  });

  it('that were to be left behind are no loss', async () => {
    const { status, stdout } = await luocon([
      ...['--host', updating([ended, run('left_behind', { name: 'two' })])],
      ...['update', 'p-1', '--yes'],
    ]);
    expect({ status, headline: stdout.includes('updated, but') }).toEqual({ status: 0, headline: false });
  });

  it('name what made the kernel refuse', async () => {
    const refusedBy: Refusing = {
      ...{ session: 'machine-one', token: '0x3', label: 'luo-lab0', handler: 'luo_lab' },
      ...{ phase: 'kexec', errno: 'EIO' },
    };
    const { address } = serveAgent({
      GetUpdate: async () => ({ update: { ...sampleUpdate, outcome: 'returned', refusedBy } }),
    });
    const { stdout } = await luocon(['--host', address, 'history', 'u-1']);
    expect(stdout).toMatch(
      /^Refused by +luo-lab0 \(token 0x3 of session "machine-one"\): EIO from luo_lab, in kexec$/m,
    );
  });

  it('have a row each that is written over, on a terminal', async () => {
    const { stdout } = await luocon(['--host', updating([ended]), 'update', 'p-1', '--yes'], {
      terminal: true,
    });
    const shown = stdout.replaceAll('\r\u001b[K', '<').replaceAll('\u001b[A', '^');
    expect(shown).toContain('  one: waiting<');
    expect(shown).toContain('suspending: machines stop\n  one: suspending<^<');
  });
});
