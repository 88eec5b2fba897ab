// SPDX-License-Identifier: Apache-2.0
/** A machine that was told to run before this agent came: it is asked how it is, and never loaded again. */
import { join } from 'node:path';
import { native } from '@luo-console/native';
import { describe, expect, it } from 'vitest';
import { type Answer, value } from '../qemu/fake-qmp.fixture.ts';
import { type FakeVmm, startFakeVmm } from './fake-vmm.fixture.ts';
import { RanPerhaps, runStarted, type VmmStarter } from './restore.ts';
import type { SavedMachine } from './saved-machine.ts';

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

const refuse: Answer = (socket, id) =>
  void socket.write(`${JSON.stringify({ id, error: { class: 'GenericError', desc: 'not today' } })}\n`);

describe('a machine whose guest may have run', () => {
  it('is told once more if QEMU says that it is paused after all', async () => {
    const vmm = await startFakeVmm({ running: false });
    const asked = { native, machine: machineOf(vmm, true), starter };
    expect(await runStarted(asked)).toEqual({ pid: process.pid, problem: null, insteadOfRunning: null });
    expect(vmm).toMatchObject({ loaded: null, running: true });
  });

  it('and was paused before is left so', async () => {
    const vmm = await startFakeVmm({ running: false });
    const asked = { native, machine: machineOf(vmm, false), starter, pid: 4711 };
    expect(await runStarted(asked)).toEqual({ pid: 4711, problem: null, insteadOfRunning: null });
    expect(vmm).toMatchObject({ running: false, commands: [] });
  });

  it.each([
    ['running', null],
    ['paused', 'paused'],
    ['io-error', 'io-error'],
  ])('and is known to have run is only asked how it is: %s', async (status, insteadOfRunning) => {
    const answers = { 'query-status': value({ status, running: status === 'running' }) };
    const vmm = await startFakeVmm({ running: false, answers });
    const asked = { native, machine: machineOf(vmm, true), starter, hasRun: true };
    expect(await runStarted(asked)).toEqual({ pid: process.pid, problem: null, insteadOfRunning });
    expect(vmm.commands).toEqual(['qmp_capabilities', 'query-status']);
  });

  it('is held if it stays paused', async () => {
    const vmm = await startFakeVmm({ running: false, answers: { cont: refuse } });
    const asked = { native, machine: machineOf(vmm, true), starter };
    await expect(runStarted(asked)).rejects.toBeInstanceOf(RanPerhaps);
  });

  it('and whose monitor cannot be asked is believed to run, and it is said why', async () => {
    const vmm = await startFakeVmm({ running: false });
    const machine = { ...machineOf(vmm, true), monitor: join(vmm.path, '../nobody') };
    const asked = { native, machine, starter };
    expect(await runStarted(asked)).toMatchObject({
      pid: process.pid,
      problem: expect.stringContaining('ENOENT'),
    });
  });
});
