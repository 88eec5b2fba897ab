// SPDX-License-Identifier: Apache-2.0
/** The end of a VMM that was replaced, what goes with its unit, and who may touch the machine meanwhile. */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { realHostPaths } from '../host/paths.ts';
import { identify } from '../host/process-files.ts';
import { standIns } from '../host/stand-ins.fixture.ts';
import { agentItself } from '../liveupdate/live-update-context.ts';
import type { MachineHead, MachineRenewal, StoppedMark } from '../liveupdate/machine-head.ts';
import type { SessionStore } from '../liveupdate/sessions.ts';
import type { Adopted } from './adoption-context.ts';
import { AdoptionScene } from './adoptions.fixture.ts';
import { startFakeVmm } from './fake-vmm.fixture.ts';
import { movedHead } from './moved-head.ts';
import { endReplaced, type ReplacedContext, setNamesAside } from './replaced-vmm.ts';
import type { VmmStarter } from './restore.ts';
import { StoppedMachines } from './stopped-machines.ts';
import { adopted } from './suspension.fixture.ts';

let directory: string;
let old: ChildProcess;
let marks: StoppedMark[];
/** What the service manager was asked, with the unit. */
let asked: string[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'luo-replaced-'));
  mkdirSync(join(directory, 'proc/1'), { recursive: true });
  symlinkSync('/', join(directory, 'proc/1/root'));
  old = spawn('sleep', ['1000']);
  symlinkSync(`/proc/${old.pid}`, join(directory, 'proc', String(old.pid)));
  [marks, asked] = [[], []];
});
afterEach(() => {
  old.kill('SIGKILL');
  rmSync(directory, { recursive: true });
});

const own = (): string => join(directory, 'machine');
const monitor = (): string => join(own(), 'qmp');

/** A service manager that removes the machine's directory with its unit. */
function context(stop = async (): Promise<void> => {}): ReplacedContext {
  const note = (what: string): VmmStarter['settle'] => {
    return async ({ beside }) => void asked.push(`${what} ${beside?.second ? 'second' : 'first'}`);
  };
  const starter: VmmStarter = {
    resume: async () => {},
    settle: note('settle'),
    pid: async () => 1,
    stop: async (unit) => {
      await note('stop')(unit);
      await stop();
      rmSync(own(), { recursive: true, force: true });
    },
    adopt: async () => {},
  };
  return {
    ...{ native, paths: { proc: join(directory, 'proc') }, starter },
    mark: (_session, change) => void marks.push(change),
    log: () => {},
  };
}

async function replaced(): Promise<{ adopted: Adopted; renewal: MachineRenewal }> {
  mkdirSync(own());
  writeFileSync(monitor(), 'of the old one');
  const pid = old.pid ?? 0;
  const renewal: MachineRenewal = {
    from: { pid, startTime: (await identify('/proc', pid))?.startTime ?? '' },
    ...{ second: true, ownUnit: true, slice: null, nice: 0, directory: join(directory, 'renewal-1') },
    aside: [{ path: monitor(), aside: `${monitor()}.before` }],
    kept: { path: own(), aside: `${own()}.before` },
  };
  const command = { program: '/qemu', words: [], directory: '/', uid: process.getuid?.() ?? 0, gid: 0 };
  const machine = { pid: 4711, command, monitor: monitor() } as unknown as MachineHead;
  const adopted = { session: 'machine:one', machine };
  setNamesAside(join(directory, 'proc'), adopted, renewal);
  writeFileSync(monitor(), 'of the new one');
  return { adopted, renewal };
}

const hasEnded = (): boolean => old.signalCode === 'SIGKILL' || !existsSync(`/proc/${old.pid}/exe`);

describe('a VMM that was replaced', () => {
  it('is killed, and the new one keeps its sockets although the directory goes with the unit', async () => {
    const { adopted, renewal } = await replaced();
    await endReplaced(context(), adopted, renewal);
    expect(hasEnded()).toBe(true);
    expect(asked).toEqual(['stop first', 'settle first']);
    expect([existsSync(monitor()), existsSync(`${monitor()}.before`), existsSync(`${own()}.before`)]).toEqual(
      [...[true, false, false]],
    );
    expect(marks).toEqual([{ renewal: null }]);
  });

  it('whose unit does not end yet keeps its mark, and is ended when it is tried again', async () => {
    const { adopted, renewal } = await replaced();
    const failing = context(async () => {
      throw new Error('the service manager did not answer');
    });
    await expect(endReplaced(failing, adopted, renewal)).rejects.toThrow('did not answer');
    expect([marks, existsSync(own())]).toEqual([[], false]);
    await endReplaced(context(), adopted, renewal);
    expect([existsSync(monitor()), marks]).toEqual([true, [{ renewal: null }]]);
  });

  it('is not looked for once its number is another process’s', async () => {
    const { adopted, renewal } = await replaced();
    const other = { ...renewal, from: { ...renewal.from, startTime: '1' }, ownUnit: false, kept: null };
    await endReplaced(context(), adopted, other);
    expect([hasEnded(), asked]).toEqual([false, []]);
  });

  it('of another boot is forgotten: its unit is another VMM’s', async () => {
    const before = { before: null, bootId: 'this' };
    expect((await movedHead('/proc', before, process.pid, 'next')).change).toMatchObject({ renewal: null });
    expect((await movedHead('/proc', before, process.pid, 'this')).change).not.toHaveProperty('renewal');
  });
});

describe('a machine whose renewal another agent has begun', () => {
  it('runs on although a name cannot be given back yet, and has it once it can', async () => {
    const guest = await startFakeVmm({ running: false });
    const { path } = guest;
    const pid = old.pid ?? 0;
    const { startTime = '' } = (await identify('/proc', pid)) ?? {};
    const renewal: MachineRenewal = {
      ...{ from: { pid, startTime }, second: true, ownUnit: false, slice: null, nice: 0 },
      ...{ directory: join(directory, 'renewal-1'), aside: [{ path, aside: `${path}.before` }], kept: null },
    };
    const one = adopted('one', path);
    let machine: MachineHead = { ...one.machine, pid, startTime, suspended: true, renewal };
    setNamesAside(join(directory, 'proc'), { ...one, machine }, renewal);
    mkdirSync(path);
    const { starter, native: realNative } = context();
    const updateMachine = (change: StoppedMark): void => {
      machine = { ...machine, ...change };
    };
    const sessions = {
      list: () => [{ name: one.session, machine }],
      has: () => true,
      get: () => ({ updateMachine }),
      touched: () => {},
    } as unknown as SessionStore;
    const logged: string[] = [];
    const machines = new StoppedMachines({
      native: {
        ...realNative,
        sockets: standIns(
          new Map([
            [path, pid],
            [`${path}.before`, pid],
          ]),
        ),
      },
      paths: { ...realHostPaths, proc: join(directory, 'proc') },
      bootId: 'this',
      sessions,
      mayLetRunOn: () => true,
      renewals: {
        starter: { ...starter, pid: () => Promise.reject(new Error('it has no process')) },
        ...{ isUnder: () => false, mayHaveRun: () => false },
      },
      moved: async () => {},
      log: (_level, message) => void logged.push(message),
    });
    expect(await machines.letRunOn()).toEqual([]);
    expect(guest.running).toBe(true);
    expect(machine).toMatchObject({ suspended: false, renewal });
    expect(machines.notAsBefore.map(({ session }) => session)).toEqual([one.session]);
    expect(logged).toContain('a VMM does not have its names back yet, which is tried again');
    rmdirSync(path);
    await machines.letRunOn();
    expect([machine.renewal, lstatSync(path).isSocket()]).toEqual([null, true]);
    expect(machines.notAsBefore).toEqual([]);
    machines.close();
  });
});

describe('a machine that is being renewed', () => {
  it('is let run by nobody else, and released by nobody', async () => {
    using scene = new AdoptionScene();
    const { adoptions, sessions } = scene;
    using memory = scene.memfd('memory');
    const child = await scene.startVmm('one', [memory]);
    const session = await scene.adopt(child);
    const { renewal: begun } = await replaced();
    const isUnder = scene.renewals.isUnder;
    scene.renewals = { ...scene.renewals, isUnder: () => true };
    const refused = { refusal: 'MachineUnusable', parameters: { reason: 'its VMM is being replaced' } };
    // It is being made ready, and nothing is noted yet.
    await expect(adoptions.release(child.pid ?? 0, agentItself)).rejects.toMatchObject(refused);
    // As the machine's own process has it.
    const { pid = 0, startTime = '' } = sessions.get(session).machine ?? {};
    const renewal = { ...begun, from: { pid, startTime } };
    sessions.get(session).updateMachine({ suspended: true, renewal });
    expect(await adoptions.stopped.letRunOn()).toEqual([]);
    expect(scene.logged).toEqual([]);
    await expect(adoptions.release(pid, agentItself)).rejects.toMatchObject(refused);
    // Once no agent is at it, it is settled; that is tried again while it cannot be.
    scene.renewals = { ...scene.renewals, isUnder };
    expect(await adoptions.stopped.letRunOn()).toEqual([session]);
    expect(scene.logged).toEqual(['it is not settled yet which VMM a machine has']);
    adoptions.stopped.close();
  });
});
