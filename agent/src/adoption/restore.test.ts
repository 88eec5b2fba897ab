// SPDX-License-Identifier: Apache-2.0
/** A saved machine that is started again: its state is given to it once, and only then may it run. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Descriptor, native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Answer } from '../qemu/fake-qmp.fixture.ts';
import { ManagerRefusal } from '../units/manager-bus.ts';
import { type FakeVmm, startFakeVmm } from './fake-vmm.fixture.ts';
import { RanPerhaps, restoreMachine, runStarted, type VmmStarter } from './restore.ts';
import type { SavedMachine } from './saved-machine.ts';

/** Whom the VMMs run as: whoever runs this. */
const user = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

let directory: string;
let state: Descriptor;
/** What was done, in order. */
let happened: string[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'luo-restore-'));
  state = native.memory.memfdCreate('state');
  native.memory.write(state, 0n, Buffer.from('device state'));
  happened = [];
});
afterEach(() => {
  state.close();
  rmSync(directory, { recursive: true });
});

const machineOf = (vmm: FakeVmm, ran: boolean): SavedMachine => ({
  ...{ name: 'one', session: 'machine:one', definition: null, way: 'whole_state', pid: 100, ran },
  ...{ command: { program: '/usr/bin/qemu', words: [], directory: '/', ...user }, monitor: vmm.path },
  ...{ state: { token: '0x0', cprBytes: 0, mainBytes: 12 }, pieces: [], memory: [], brownoutUs: 1 },
  ...{ suspendedAtUs: 2, savedAtUs: 3 },
});

/** A service manager whose VMM is this process. */
const starter: VmmStarter = {
  start: async (name) => void happened.push(`start ${name}`),
  pid: async () => process.pid,
  ended: () => new Promise<never>(() => {}),
  stop: async (name) => void happened.push(`stop ${name}`),
  adopt: async (name, pid) => void happened.push(`adopt ${name} ${pid}`),
};

const restore = (vmm: FakeVmm, ran = true, manager: VmmStarter = starter): Promise<number> =>
  restoreMachine({
    native,
    machine: machineOf(vmm, ran),
    state,
    file: () => state,
    starter: manager,
    socketDirectory: directory,
    beforeRunning: () => void happened.push('mark running'),
    reached: (point) => void happened.push(point),
  });

const refuse: Answer = (socket, id) =>
  void socket.write(`${JSON.stringify({ id, error: { class: 'GenericError', desc: 'not today' } })}\n`);

describe('a saved machine', () => {
  it('is started, given its state, marked, and told to run, in this order', async () => {
    const vmm = await startFakeVmm({ running: false });
    expect(await restore(vmm)).toBe(process.pid);
    expect(happened).toEqual(['starting', 'start one', 'loading', 'loaded', 'mark running', 'running']);
    expect(vmm).toMatchObject({ loaded: 'device state', running: true });
    expect(readdirSync(directory)).toEqual([]);
  });

  it('that was paused when it was saved is given its state and left paused, with a mark', async () => {
    const vmm = await startFakeVmm({ running: false });
    await restore(vmm, false);
    expect(happened).toEqual(['starting', 'start one', 'loading', 'loaded', 'mark running', 'running']);
    expect(vmm).toMatchObject({ loaded: 'device state', running: false });
  });

  it('that cannot be loaded is stopped, so that it can be tried again', async () => {
    const vmm = await startFakeVmm({ running: false, answers: { 'migrate-incoming': refuse } });
    await expect(restore(vmm)).rejects.toThrow('not today');
    expect(happened).toEqual(['starting', 'start one', 'stop one']);
  });

  it('that QEMU says is paused after all is told once more by the agent that finds its mark', async () => {
    const vmm = await startFakeVmm({ running: false });
    const asked = { native, machine: machineOf(vmm, true), starter };
    expect(await runStarted(asked)).toEqual({ pid: process.pid, problem: null });
    expect(vmm).toMatchObject({ loaded: null, running: true });
    expect(happened).toEqual([]);
  });

  it('that stays paused is held by the agent that finds its mark', async () => {
    const vmm = await startFakeVmm({ running: false, answers: { cont: refuse } });
    const asked = { native, machine: machineOf(vmm, true), starter };
    await expect(runStarted(asked)).rejects.toBeInstanceOf(RanPerhaps);
  });

  it('whose monitor cannot be asked is believed to run, and it is said why', async () => {
    const vmm = await startFakeVmm({ running: false });
    const machine = { ...machineOf(vmm, true), monitor: join(directory, 'nobody') };
    const asked = { native, machine, starter };
    expect(await runStarted(asked)).toMatchObject({
      pid: process.pid,
      problem: expect.stringContaining('ENOENT'),
    });
  });

  it('is not started where there is a unit of its name, which is left alone', async () => {
    const vmm = await startFakeVmm({ running: false });
    const there = new ManagerRefusal('org.freedesktop.systemd1.UnitExists', 'it is loaded');
    const start = (): Promise<never> => Promise.reject(there);
    await expect(restore(vmm, true, { ...starter, start })).rejects.toBe(there);
    expect(happened).toEqual(['starting']);
  });

  it('that does not say whether it runs is not stopped: the guest may have run', async () => {
    const vmm = await startFakeVmm({ running: false, answers: { cont: refuse } });
    await expect(restore(vmm)).rejects.toBeInstanceOf(RanPerhaps);
    expect(happened).toEqual(['starting', 'start one', 'loading', 'loaded', 'mark running']);
  });
});
