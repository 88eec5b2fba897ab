// SPDX-License-Identifier: Apache-2.0
/**
 * Taking over from a carrier: no session is ever without a holder, nothing is killed that is not the carrier's, and
 * what its log says reaches the machines.
 */
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Descriptor, type FdLike, type Native, native as realNative } from '@luo-console/native';
import { LiveUpdateDouble } from '@luo-console/native/double';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Manager } from '../../../../test/service-manager.ts';
import { DescriptorStore } from '../../../liveupdate/descriptor-store.ts';
import type { HandedBack } from '../../../liveupdate/intake.ts';
import { sessionEntry } from '../../../liveupdate/stored-names.ts';
import { usualNeedLimitS } from '../../program/needs.ts';
import { lives, MadeUpCarrier, type Waiting } from './made-up-carrier.fixture.ts';
import {
  type CarrierLimits,
  type TakeOverContext,
  takeOverCarrier,
  usualCarrierLimits,
} from './take-over.ts';
import type { TakenOver } from './taken-over.ts';

const device = '/dev/made-up';
const names = ['luo-console', 'machine:one'];
/** Limits that no test waits for. */
const patient: CarrierLimits = {
  quietMs: 600_000,
  retrievingMs: 600_000,
  storeMs: 600_000,
  endMs: 600_000,
};

let double: LiveUpdateDouble;
let manager: Manager;
let native: Native;
let directory: string;
let carrier: MadeUpCarrier;
let paths: TakeOverContext['paths'];
let said: string[];
let handed: HandedBack[];
let notified: (state: string, files: readonly FdLike[]) => void;

beforeEach(() => {
  double = new LiveUpdateDouble({ path: device });
  manager = new Manager();
  notified = () => {};
  const notify = (state: string, files: readonly FdLike[] = []): boolean => {
    notified(state, files);
    return manager.notify(state, files);
  };
  native = { ...realNative, liveUpdate: double, serviceManager: { notify, takeListenFds: () => [] } };
  directory = mkdtempSync(join(tmpdir(), 'luo-take-over-'));
  const at = (name: string): string => join(directory, name);
  paths = { proc: at('proc'), carrier: at('program'), carrierDirectory: at('carrier') };
  carrier = new MadeUpCarrier(paths);
  said = [];
  handed = [];
});
afterEach(async () => {
  vi.useRealTimers();
  for (const { descriptor } of handed) descriptor.close();
  await carrier.dispose();
  manager.lose();
  double[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

/** The sessions of this kernel, retrieved as the keeper does. */
async function retrieved(): Promise<Map<string, Descriptor>> {
  using before = double.openDevice(device);
  const outgoing = names.map((name) => double.createSession(before, name));
  double.kexec();
  for (const session of outgoing) session.close();
  using now = double.openDevice(device);
  const sessions = new Map<string, Descriptor>();
  for (const name of names) sessions.set(name, await double.retrieveSession(now, name));
  return sessions;
}

const copies = (sessions: ReadonlyMap<string, Descriptor>): Map<string, Descriptor> =>
  new Map([...sessions].map(([name, file]) => [name, realNative.descriptors.duplicate(file)]));

/** A keeper and a holder that have all sessions. */
async function both(): Promise<{ keeper: Waiting; holder: Waiting }> {
  const sessions = await retrieved();
  const keeper = await carrier.process(copies(sessions));
  return { keeper, holder: await carrier.process(sessions) };
}

const statusLines = (
  state: string,
  { keeper, holder }: { readonly keeper: Waiting; readonly holder: Waiting },
  ...more: readonly string[]
): string[] => [`state ${state}`, `keeper ${keeper.pid}`, `holder ${holder.pid}`, ...more];

async function takeOver(
  limits: Partial<CarrierLimits> = {},
  limit: number | null = null,
): Promise<TakenOver | null> {
  const found = await takeOverCarrier(
    {
      native,
      store: new DescriptorStore(native, limit),
      paths,
      log: (level, message, fields) => void said.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`),
      limits: { ...patient, ...limits },
    },
    handed,
  );
  handed = [...handed, ...(found?.sessions ?? [])];
  return found;
}

/** Once it has come to its end. */
async function takeAllOver(
  limits: Partial<CarrierLimits> = {},
  limit: number | null = null,
): Promise<TakenOver | null> {
  const found = await takeOver(limits, limit);
  await found?.over;
  return found;
}

const goesOn = async (found: TakenOver | null): Promise<string | null | undefined> =>
  (await found?.machine('machine:one'))?.goesOn;

/** Names of sessions that a descriptor of the agent holds. */
const taken = (found: TakenOver | null): string[] =>
  found?.sessions.map(({ name, descriptor }) => {
    expect(sessionEntry(double.sessionName(descriptor))).toBe(name);
    return double.sessionName(descriptor);
  }) ?? [];

describe('where no carrier ran', () => {
  it('nothing is opened, asked or said', async () => {
    const opening = vi.spyOn(realNative.descriptors, 'pidfdOpen');
    expect(await takeAllOver()).toBe(null);
    expect(opening).not.toHaveBeenCalled();
    opening.mockRestore();
    expect([manager.messages, said]).toEqual([[], []]);
  });

  it('a file that is no status is left alone', async () => {
    carrier.status([]);
    writeFileSync(join(carrier.directory, 'status'), 'keeper 1\n');
    expect(await takeAllOver()).toBe(null);
    expect(said).toEqual([expect.stringContaining('error the status of the carrier cannot be read')]);
  });
});

describe('a carrier that is done', () => {
  it('is ended once the service manager keeps every session', async () => {
    const processes = await both();
    carrier.status(statusLines('done', processes));
    let livedAtBarrier: boolean[] = [];
    notified = (state) => {
      if (state === 'BARRIER=1') livedAtBarrier = [processes.keeper, processes.holder].map(lives);
    };
    expect(taken(await takeAllOver())).toEqual(names);
    expect(livedAtBarrier).toEqual([true, true]);
    expect([...manager.kept.keys()]).toEqual(names.map(sessionEntry));
    expect(await Promise.all([processes.keeper.ended, processes.holder.ended])).toEqual([
      'SIGKILL',
      'SIGKILL',
    ]);
    expect(said).toEqual([]);
  });

  it('says when each machine came where, and which VMM it has', async () => {
    const processes = await both();
    const vmms = {
      running: await carrier.process(),
      inUnit: await carrier.process(undefined, {
        program: '/usr/bin/qemu',
        group: '/machine.slice/luo-machine-two.service',
      }),
      another: await carrier.process(undefined, { program: '/usr/bin/sh', group: '/system.slice/x.service' }),
      written: await carrier.process(),
      ended: await carrier.process(),
    };
    vmms.ended.child.kill('SIGKILL');
    await vmms.ended.ended;
    carrier.status(
      statusLines(
        'done',
        processes,
        `machine 0 ${vmms.running.pid} running machine:one`,
        `machine 1 ${vmms.inUnit.pid} running machine:two`,
        `machine 2 ${vmms.another.pid} failed machine:three`,
        `machine 3 - crashed machine:four`,
        `machine 4 ${vmms.ended.pid} failed machine:five`,
      ),
    );
    writeFileSync(join(carrier.directory, '3.pid'), `${vmms.written.pid}\n`);
    carrier.log([
      { ns: 10, machine: null, event: 'born', text: '' },
      { ns: 20, machine: null, event: 'retrieved', text: '' },
      { ns: 25, machine: 0, event: 'waits', text: 'for /srv to be mounted' },
      { ns: 30, machine: 0, event: 'starting', text: '' },
      { ns: 40, machine: 0, event: 'running', text: '' },
      { ns: 50, machine: 2, event: 'failed', text: 'no answer' },
    ]);
    const found = await takeAllOver();
    expect(found?.news()).toMatchObject({ bornNs: 10, retrievedNs: 20 });
    const log = { waited: [], done: [], failedAt: null };
    const none = { reached: new Map(), failed: null, log };
    const files = (number: number) => ({
      pidFile: join(carrier.directory, `${number}.pid`),
      output: join(carrier.directory, `${number}.out`),
    });
    const sessions = ['one', 'two', 'three', 'four', 'five'].map((name) => `machine:${name}`);
    const machines = await Promise.all(
      sessions.map(async (name) => [name, (await found?.machine(name))?.machine] as const),
    );
    expect(machines).toEqual([
      [
        'machine:one',
        {
          ...{ pid: vmms.running.pid, startedPid: vmms.running.pid, files: files(0), failed: null },
          reached: new Map([
            ['starting', 30],
            ['running', 40],
          ]),
          log: { ...log, waited: [{ what: '/srv to be mounted', fromNs: 25, untilNs: 30 }] },
        },
      ],
      ['machine:two', { ...none, pid: vmms.inUnit.pid, startedPid: vmms.inUnit.pid, files: files(1) }],
      [
        'machine:three',
        { ...none, pid: null, startedPid: vmms.another.pid, files: files(2), failed: 'no answer' },
      ],
      ['machine:four', { ...none, pid: vmms.written.pid, startedPid: vmms.written.pid, files: files(3) }],
      ['machine:five', { ...none, pid: null, startedPid: vmms.ended.pid, files: files(4) }],
    ]);
    const others = [vmms.running, vmms.inUnit, vmms.another, vmms.written];
    expect(others.map(lives)).toEqual([true, true, true, true]);
  });

  it('gives no session that the service manager handed in', async () => {
    const sessions = await retrieved();
    const [first = ''] = names;
    handed = [...copies(sessions)]
      .filter(([name, file]) => name === first || file.close())
      .map(([name, descriptor]) => ({ name: sessionEntry(name), descriptor }));
    const processes = {
      keeper: await carrier.process(copies(sessions)),
      holder: await carrier.process(sessions),
    };
    carrier.status(statusLines('done', processes));
    expect(taken(await takeAllOver())).toEqual(names.slice(1));
    await processes.holder.ended;
  });

  it('and whose numbers belong to other processes by now is not taken for it', async () => {
    const sessions = await retrieved();
    const facts = { program: '/usr/bin/sh' };
    const keeper = await carrier.process(copies(sessions), facts);
    const holder = await carrier.process(sessions, facts);
    carrier.status(statusLines('working', { keeper, holder }));
    expect(taken(await takeAllOver())).toEqual([]);
    expect([keeper, holder].map(lives)).toEqual([true, true]);
  });

  it('and has ended with its processes still says what it did: the store has the sessions', async () => {
    const processes = { keeper: await carrier.process(), holder: await carrier.process() };
    await carrier.dispose();
    const vmm = await carrier.process();
    carrier.status(statusLines('done', processes, `machine 0 ${vmm.pid} running machine:one`));
    carrier.log([{ ns: 10, machine: null, event: 'born', text: '' }]);
    const found = await takeAllOver();
    expect(found?.sessions).toEqual([]);
    expect(found?.news().bornNs).toBe(10);
    expect((await found?.machine('machine:one'))?.machine?.pid).toBe(vmm.pid);
    expect(manager.messages).toEqual([]);
  });

  it.each([true, false])('and failed says why, as a warning only while it is there: %j', async (there) => {
    const processes = await both();
    if (!there) await carrier.dispose();
    carrier.status(statusLines('failed', processes));
    carrier.log([{ ns: 10, machine: null, event: 'failed', text: 'no resume program' }]);
    expect(taken(await takeAllOver())).toEqual(there ? names : []);
    expect(said).toEqual([
      `${there ? 'warning' : 'info'} the carrier failed {"problem":"no resume program"}`,
    ]);
  });

  it('and is of another version gives its sessions, and nothing is known of its machines', async () => {
    const processes = await both();
    carrier.status(statusLines('done', processes, 'machine 0 200 running machine:one'), 2);
    carrier.log([{ ns: 10, machine: null, event: 'born', text: '' }]);
    const found = await takeAllOver();
    expect(taken(found)).toEqual(names);
    expect(found?.news()).toEqual({ machines: new Map(), bornNs: null, retrievedNs: null });
    expect(await found?.machine('machine:one')).toEqual({ machine: null, goesOn: null });
    await processes.holder.ended;
    expect(said).toEqual([expect.stringContaining('of another version')]);
  });
});

describe('a carrier that works', () => {
  it('gives its sessions at once, and is waited for machine by machine', async () => {
    const processes = await both();
    const working = ['machine 0 - waiting machine:one', 'machine 1 - working machine:two'];
    carrier.status(statusLines('working', processes, ...working));
    carrier.log([
      { ns: 1, machine: null, event: 'born', text: '' },
      { ns: 2, machine: 1, event: 'waits', text: 'for a disk\nREADY=1' },
    ]);
    const found = await takeOver();
    expect(taken(found)).toEqual(names);
    expect([...manager.kept.keys()]).toEqual(names.map(sessionEntry));
    expect([...(found?.news().machines ?? [])]).toMatchObject([
      ['machine:two', { waits: 'for a disk READY=1' }],
    ]);
    // One that it does not have is nobody's to wait for.
    expect(await found?.machine('machine:three')).toEqual({ machine: null, goesOn: null });
    const [one, two] = ['one', 'two'].map((name) => found?.machine(`machine:${name}`));
    expect(await Promise.race([one, two, 'neither'])).toBe('neither');
    carrier.status(
      statusLines('working', processes, 'machine 0 - failed machine:one', 'machine 1 - working machine:two'),
    );
    expect(await one).toMatchObject({ machine: { pid: null }, goesOn: null });
    expect(await Promise.race([two, 'not yet'])).toBe('not yet');
    expect([processes.keeper, processes.holder].map(lives)).toEqual([true, true]);
    carrier.status(
      statusLines('done', processes, 'machine 0 - failed machine:one', 'machine 1 - running machine:two'),
    );
    expect(await two).toMatchObject({ machine: { failed: null }, goesOn: null });
    await found?.over;
    expect([processes.keeper, processes.holder].map(lives)).toEqual([false, false]);
    expect(said).toEqual([]);
  });

  it('may have every machine as long as its program is not read', async () => {
    const processes = await both();
    // As the keeper writes it once it has the sessions (`keep`, native-bindings/carrier/keeper.c).
    carrier.status(statusLines('working', processes));
    const found = await takeOver();
    const one = found?.machine('machine:one');
    expect(await Promise.race([one, new Promise((resolve) => setImmediate(resolve, 'not yet'))])).toBe(
      'not yet',
    );
    carrier.status(statusLines('working', processes, 'machine 0 - working machine:one'));
    expect(await Promise.race([one, new Promise((resolve) => setImmediate(resolve, 'not yet'))])).toBe(
      'not yet',
    );
    carrier.status(statusLines('done', processes, 'machine 0 - running machine:one'));
    expect(await one).toMatchObject({ machine: { failed: null }, goesOn: null });
    await found?.over;
  });

  it('and of which nothing can be found out has a machine that must not be started', async () => {
    const processes = await both();
    const vmm = await carrier.process();
    carrier.status(statusLines('done', processes, `machine 0 ${vmm.pid} running machine:one`));
    const found = await takeAllOver();
    const opening = vi.spyOn(native.descriptors, 'pidfdOpen').mockImplementation(() => {
      throw new Error('ENFILE');
    });
    expect(await found?.machine('machine:one')).toEqual({
      ...{ machine: null, goesOn: 'what it did is unknown: ENFILE' },
    });
    opening.mockRestore();
  });

  it('is waited for until it has the sessions', async () => {
    const processes = await both();
    carrier.status(statusLines('retrieving', processes));
    const opened = vi.spyOn(native.descriptors, 'pidfdGetfd');
    const found = takeOver();
    expect(await Promise.race([found, new Promise((resolve) => setImmediate(resolve, 'not yet'))])).toBe(
      'not yet',
    );
    expect(opened).not.toHaveBeenCalled();
    carrier.status(statusLines('working', processes));
    expect(taken(await found)).toEqual(names);
    opened.mockRestore();
    carrier.status(statusLines('done', processes));
    await (await found)?.over;
  });

  it('is given more time than it gives to what machines need', () => {
    expect(usualCarrierLimits.quietMs).toBeGreaterThan(usualNeedLimitS * 1000);
  });

  it('is waited for as long as its log goes on', async () => {
    const processes = await both();
    carrier.status(statusLines('working', processes));
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const found = await takeOver({ quietMs: 50_000 });
    vi.advanceTimersByTime(40_000);
    const timers = vi.getTimerCount();
    carrier.log([{ ns: 1, machine: 0, event: 'starting', text: '' }]);
    // A change is told to people later, so one timer more shows that it was seen.
    while (vi.getTimerCount() === timers) await new Promise((resolve) => setImmediate(resolve));
    vi.advanceTimersByTime(40_000);
    carrier.status(statusLines('done', processes));
    await found?.over;
    expect(taken(found)).toEqual(names);
    expect(said).toEqual([]);
  });

  it('and whose keeper ends has its sessions in the holder', async () => {
    const processes = await both();
    carrier.status(statusLines('working', processes));
    const found = await takeOver();
    processes.keeper.child.kill('SIGKILL');
    expect(taken(found)).toEqual(names);
    expect(await processes.holder.ended).toBe('SIGKILL');
    await found?.over;
    expect(said).toEqual(['warning the carrier did not come to its end {"because":"keeper ended"}']);
  });

  it('and whose keeper died before anything ran has its sessions in the holder', async () => {
    const keeper = await carrier.process();
    await carrier.dispose();
    const holder = await carrier.process(await retrieved());
    carrier.status(statusLines('working', { keeper, holder }));
    expect(taken(await takeAllOver())).toEqual(names);
    expect(await holder.ended).toBe('SIGKILL');
  });
});

describe('a carrier that hangs', () => {
  it('is ended, so that its workers do nothing more, and only then a machine is the agent’s', async () => {
    const processes = await both();
    carrier.status(statusLines('working', processes, 'machine 0 - working machine:one'));
    const found = await takeOver({ quietMs: 1 });
    expect(await found?.machine('machine:one')).toMatchObject({ goesOn: null });
    expect([processes.keeper, processes.holder].map(lives)).toEqual([false, false]);
    expect(taken(found)).toEqual(names);
    expect(said).toEqual(['warning the carrier did not come to its end {"because":"quiet"}']);
  });

  it('while it retrieves is not given the time that machines may take', async () => {
    const processes = await both();
    carrier.status(statusLines('retrieving', processes));
    expect(taken(await takeAllOver({ retrievingMs: 1 }))).toEqual(names);
    expect(await processes.keeper.ended).toBe('SIGKILL');
  });

  it('and has no holder gives its sessions before it is ended', async () => {
    const keeper = await carrier.process(await retrieved());
    carrier.status(['state working', `keeper ${keeper.pid}`]);
    expect(taken(await takeAllOver({ quietMs: 1 }))).toEqual(names);
    expect(await keeper.ended).toBe('SIGKILL');
    expect([...manager.kept.keys()]).toEqual(names.map(sessionEntry));
  });
});

describe('a session that cannot be taken', () => {
  const leftAlone = 'error the carrier is left alone, because it has the last copy of a session';

  it.each([
    { what: 'is gone from its place', link: 'machine:gone', fd: 77, problem: 'session machine:gone: EBADF' },
    { what: 'is no session', link: 'machine:file', fd: 0, problem: 'session machine:file: ENOTTY' },
    {
      ...{ what: 'has another name', link: 'machine:two', fd: 3 },
      problem: 'session machine:two: the kernel calls it luo-console',
    },
  ])('leaves both alive: it $what', async ({ link, fd, problem }) => {
    const processes = await both();
    carrier.status(statusLines('done', processes));
    for (const { pid } of [processes.keeper, processes.holder]) {
      const path = join(carrier.proc, `${pid}/fd/${fd}`);
      rmSync(path, { force: true });
      symlinkSync(`anon_inode:[luo_session] ${link}`, path);
    }
    const found = await takeAllOver();
    expect(taken(found)).toEqual(fd === 3 ? names.slice(1) : names);
    expect(said).toEqual([`${leftAlone} {"problems":["${problem}"]}`]);
    expect([processes.keeper, processes.holder].map(lives)).toEqual([true, true]);
  });

  it('from the holder is taken from the keeper', async () => {
    const sessions = await retrieved();
    const keeper = await carrier.process(copies(sessions));
    for (const file of sessions.values()) file.close();
    const holder = await carrier.process();
    symlinkSync(`anon_inode:[luo_session] ${names[0]}`, join(carrier.proc, `${holder.pid}/fd/77`));
    carrier.status(statusLines('done', { keeper, holder }));
    expect(taken(await takeAllOver())).toEqual(names);
    expect(await Promise.all([keeper.ended, holder.ended])).toEqual(['SIGKILL', 'SIGKILL']);
  });

  it('because no descriptors can be listed leaves both alive', async () => {
    const processes = await both();
    carrier.status(statusLines('done', processes));
    for (const { pid } of [processes.keeper, processes.holder])
      rmSync(join(carrier.proc, `${pid}/fd`), { recursive: true });
    expect(taken(await takeAllOver())).toEqual([]);
    expect(said).toEqual([
      expect.stringContaining(`the descriptors of process ${processes.holder.pid}: ENOENT`),
    ]);
    expect([processes.keeper, processes.holder].map(lives)).toEqual([true, true]);
  });

  it('in by the service manager, which does not answer, leaves both alive', async () => {
    const processes = await both();
    carrier.status(statusLines('done', processes));
    const barriers: Descriptor[] = [];
    notified = (state, [file]) => {
      if (state === 'BARRIER=1' && file !== undefined) barriers.push(realNative.descriptors.duplicate(file));
    };
    expect(taken(await takeAllOver({ storeMs: 1 }))).toEqual(names);
    expect(said).toEqual([expect.stringContaining('the service manager did not answer in 1 ms')]);
    expect([processes.keeper, processes.holder].map(lives)).toEqual([true, true]);
    for (const barrier of barriers) barrier.close();
  });

  it('in by the service manager, which has no room, leaves both alive', async () => {
    const processes = await both();
    carrier.status(statusLines('done', processes));
    expect(taken(await takeAllOver({}, 1))).toEqual(names);
    expect(said).toEqual([expect.stringContaining('ENOSPC')]);
    expect([processes.keeper, processes.holder].map(lives)).toEqual([true, true]);
  });
});

describe('a carrier that is at work while the agent cannot take over', () => {
  it('because its status is damaged is ended, and its holder gives the sessions', async () => {
    const processes = await both();
    carrier.status(statusLines('working', processes));
    const found = await takeOver();
    writeFileSync(join(carrier.directory, 'status'), 'keeper 1\n');
    expect(await goesOn(found)).toBe(null);
    expect(taken(found)).toEqual(names);
    expect(await Promise.all([processes.keeper.ended, processes.holder.ended])).toEqual([
      'SIGKILL',
      'SIGKILL',
    ]);
    expect(said[0]).toMatch(/^warning the carrier did not come to its end .*does not begin/);
  });

  it('because it fails half-way is ended, and its holder lives on', async () => {
    const processes = await both();
    carrier.status(statusLines('working', processes));
    const taking = vi.spyOn(native.descriptors, 'pidfdOpen').mockImplementationOnce(() => {
      throw new Error('EMFILE');
    });
    const found = await takeAllOver();
    taking.mockRestore();
    expect(found?.sessions).toEqual([]);
    expect(await goesOn(found)).toBe(null);
    expect(await processes.keeper.ended).toBe('SIGKILL');
    expect(lives(processes.holder)).toBe(true);
    expect(said).toEqual([
      'error the agent could not take over from the carrier {"problem":"EMFILE"}',
      expect.stringContaining('warning the carrier is ended, because the agent goes on without it'),
    ]);
  });

  it('and that has the last copy of a session lives on, and no machine is started', async () => {
    const keeper = await carrier.process(await retrieved());
    carrier.status(['state working', `keeper ${keeper.pid}`, 'machine 0 - working machine:one']);
    const found = await takeAllOver({ quietMs: 1 }, 1);
    expect(taken(found)).toEqual(names);
    const why = `process ${keeper.pid} goes on, and nobody else has its sessions`;
    expect(await goesOn(found)).toBe(why);
    expect(lives(keeper)).toBe(true);
    expect(said.at(-1)).toBe(
      `error machines that the carrier had are not started, because it goes on {"problem":"${why}"}`,
    );
  });

  it('and does not end keeps every machine from being started', async () => {
    const processes = await both();
    carrier.status(statusLines('working', processes, 'machine 0 - working machine:one'));
    const killing = vi.spyOn(process, 'kill').mockImplementation(() => true);
    const found = await takeAllOver({ quietMs: 1, endMs: 1 });
    killing.mockRestore();
    expect(await goesOn(found)).toBe(`process ${processes.keeper.pid} does not end`);
  });
});

describe('a carrier where no service manager keeps sessions', () => {
  beforeEach(() => {
    native = { ...native, serviceManager: { notify: () => false, takeListenFds: () => [] } };
  });

  it('goes on holding them when its work is done, so that the agent is not their only holder', async () => {
    const processes = await both();
    carrier.status(statusLines('done', processes));
    expect(taken(await takeAllOver())).toEqual(names);
    expect(await processes.keeper.ended).toBe('SIGKILL');
    expect(lives(processes.holder)).toBe(true);
    expect(said).toEqual([
      'warning no service manager keeps the sessions; the carrier goes on holding them {}',
    ]);
    // An agent that is started again finds them there.
    for (const { descriptor } of handed) descriptor.close();
    handed = [];
    expect(taken(await takeAllOver())).toEqual(names);
    expect(lives(processes.holder)).toBe(true);
  });

  it('and which has no holder keeps its keeper', async () => {
    const keeper = await carrier.process(await retrieved());
    carrier.status(['state done', `keeper ${keeper.pid}`]);
    expect(taken(await takeAllOver())).toEqual(names);
    expect(lives(keeper)).toBe(true);
  });
});
