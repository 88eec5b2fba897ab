// SPDX-License-Identifier: Apache-2.0
/** A machine that was told to run before this agent came: it is asked how it is, and never loaded again. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { getPriority, setPriority } from 'node:os';
import { join } from 'node:path';
import { native } from '@luo-console/native';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Answer, value } from '../qemu/fake-qmp.fixture.ts';
import { type FakeVmm, startFakeVmm } from './fake-vmm.fixture.ts';
import { RanPerhaps, runStarted, type VmmStarter } from './restore.ts';
import type { SavedMachine } from './saved-machine.ts';
import type { VmmFacts } from './vmm-facts.ts';

/** Whom the VMMs run as: whoever runs this. */
const user = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

const machineOf = (vmm: FakeVmm, ran: boolean): SavedMachine => ({
  ...{
    name: 'one',
    session: 'machine:one',
    definition: null,
    way: 'whole_state',
    priority: 0,
    pid: 100,
    ran,
    capabilities: {},
  },
  ...{ command: { program: '/usr/bin/qemu', words: [], directory: '/', ...user }, monitor: vmm.path },
  ...{ state: { token: '0x0', cprBytes: 0, mainBytes: 12 }, pieces: [], memory: [], facts: null },
  ...{ brownoutUs: 1, suspendedAtUs: 2, savedAtUs: 3 },
});

const refused = (): Promise<never> => Promise.reject(new Error('nothing but its process is asked for'));
/** A service manager whose VMM is this process. */
const starter: VmmStarter = {
  ...{ resume: refused, settle: refused, stop: refused, adopt: refused },
  pid: async () => process.pid,
};

const usualFacts: VmmFacts = {
  ...{ groups: [], umask: 0, nice: 0, limits: [], variables: [], nodes: [], directories: [] },
  ...{ writesRoot: false, filledBytes: 0, needs: [], obstacle: null },
  ...{ rights: null, profile: null, resources: null, unkept: null, modules: [] },
};

let said: string[];
beforeEach(() => {
  said = [];
});
const context = {
  ...{ native, starter, paths: { proc: '/proc' } },
  log: (_level: 'warning', message: string): void => void said.push(message),
};

const refuse: Answer = (socket, id) =>
  void socket.write(`${JSON.stringify({ id, error: { class: 'GenericError', desc: 'not today' } })}\n`);

describe('a machine whose guest may have run', () => {
  it('is told once more if QEMU says that it is paused after all', async () => {
    const vmm = await startFakeVmm({ running: false });
    const asked = { ...context, machine: machineOf(vmm, true) };
    expect(await runStarted(asked)).toEqual({ pid: process.pid, problem: null, insteadOfRunning: null });
    expect(vmm).toMatchObject({ loaded: null, running: true });
  });

  it('and was paused before is left so', async () => {
    const vmm = await startFakeVmm({ running: false });
    const asked = { ...context, machine: machineOf(vmm, false), pid: process.pid };
    expect(await runStarted(asked)).toEqual({ pid: process.pid, problem: null, insteadOfRunning: null });
    expect(vmm).toMatchObject({ running: false, commands: [] });
  });

  it.each([
    ['running', null],
    ['paused', 'paused'],
    ['io-error', 'io-error'],
  ])('and is known to have run is only asked how it is: %s', async (status, insteadOfRunning) => {
    const answers = { 'query-status': value({ status, running: status === 'running' }) };
    const vmm = await startFakeVmm({ running: false, answers });
    const asked = { ...context, machine: machineOf(vmm, true), hasRun: true };
    expect(await runStarted(asked)).toEqual({ pid: process.pid, problem: null, insteadOfRunning });
    expect(vmm.commands).toEqual(['qmp_capabilities', 'query-status']);
  });

  it('is held if it stays paused', async () => {
    const vmm = await startFakeVmm({ running: false, answers: { cont: refuse } });
    const asked = { ...context, machine: machineOf(vmm, true) };
    await expect(runStarted(asked)).rejects.toBeInstanceOf(RanPerhaps);
  });

  it('and whose monitor cannot be asked is believed to run, and it is said why', async () => {
    const vmm = await startFakeVmm({ running: false });
    const machine = { ...machineOf(vmm, true), monitor: join(vmm.path, '../nobody') };
    const asked = { ...context, machine };
    expect(await runStarted(asked)).toMatchObject({
      pid: process.pid,
      problem: expect.stringContaining('ENOENT'),
    });
  });

  it.runIf(process.getuid?.() === 0)(
    'and whose VMM still comes first is put back, because the carrier ended too soon',
    async () => {
      const vmm = await startFakeVmm({ running: true });
      const other = spawn('sleep', ['infinity']);
      const pid = other.pid ?? 0;
      setPriority(pid, -20);
      const machine = { ...machineOf(vmm, false), facts: { ...usualFacts, nice: 3 } };
      await runStarted({ ...context, machine, pid });
      expect(getPriority(pid)).toBe(3);
      // One that somebody has put elsewhere is left there.
      setPriority(pid, 7);
      await runStarted({ ...context, machine, pid });
      expect([getPriority(pid), said]).toEqual([7, []]);
      other.kill('SIGKILL');
      await once(other, 'exit');
    },
  );

  it('goes on where its VMM cannot be put back, and that is said', async () => {
    const vmm = await startFakeVmm({ running: true });
    const asked = { ...context, machine: machineOf(vmm, false), pid: 2 ** 30 };
    expect(await runStarted(asked)).toMatchObject({ problem: null });
    expect(said).toEqual(['a VMM still comes first on the processors']);
  });
});
