// SPDX-License-Identifier: Apache-2.0
/**
 * What an agent does about saved machines that cannot simply be started: whatever is wrong, none is started without
 * its memory, and none twice.
 */
import { EventEmitter } from 'node:events';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Descriptor, type Native, native as realNative } from '@luo-console/native';
import { LiveUpdateDouble } from '@luo-console/native/double';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  markByte,
  markOffset,
  type RestartMark,
  writeAttempts,
  writeMark,
} from '../../adoption/restart-mark.ts';
import { unitNameOf, type VmmStarter } from '../../adoption/restore.ts';
import type { SavedMachine } from '../../adoption/saved-machine.ts';
import type { Log } from '../../host/log.ts';
import { DescriptorStore } from '../../liveupdate/descriptor-store.ts';
import { Device } from '../../liveupdate/device.ts';
import { SlotFile } from '../../liveupdate/slots.ts';
import { formerIndexSessionName, indexSessionName, manifestToken } from '../../liveupdate/tokens.ts';
import { decodeProgram } from '../program/decode.fixture.ts';
import { usualFacts } from '../program/usual-facts.ts';
import { madeUpUpdate } from '../record/made-up-update.fixture.ts';
import type { TakenOver } from './carrier/taken-over.ts';
import type { HeldMachine } from './held-machine.ts';
import { type ResumeContext, resumeMachines } from './resume-machines.ts';

/** Whom the VMMs run as: whoever runs this. */
const user = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

const device = '/dev/made-up';
let double: LiveUpdateDouble;
let native: Native;
let directory: string;

beforeEach(() => {
  double = new LiveUpdateDouble({ path: device });
  native = { ...realNative, liveUpdate: double };
  directory = mkdtempSync(join(tmpdir(), 'luo-resume-'));
});
afterEach(() => {
  double[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

const saved: SavedMachine = {
  name: 'one',
  session: 'machine:one',
  definition: null,
  way: 'named_memory',
  priority: 0,
  pid: 100,
  command: { program: '/usr/bin/qemu', words: [], directory: '/', ...user },
  monitor: '/run/one.qmp',
  ran: true,
  capabilities: {},
  state: { token: '0x0', cprBytes: 0, mainBytes: 5 },
  pieces: [],
  memory: [{ backend: 'ram', session: 'machine:one', token: '0x7' }],
  facts: null,
  brownoutUs: 1,
  suspendedAtUs: 2,
  savedAtUs: 3,
};

const record = (machines: readonly object[]): object => ({
  format: 'luo-index-1',
  update: madeUpUpdate,
  sessions: [],
  jumpedAtUs: 4,
  machines,
  clock: null,
});

/** Preserves a machine's parts, as an agent before the kexec does, and has the next kernel begin. */
async function arrive(
  machines: readonly object[],
  parts: {
    state: boolean;
    memory: boolean;
    mark?: RestartMark;
    attempts?: number;
    index?: string;
    session?: string;
    /** Further machines: bytes of the memory of each, with its token from 1 on. */
    more?: readonly number[];
  },
): Promise<void> {
  using opened = double.openDevice(device);
  const index = double.createSession(opened, parts.index ?? indexSessionName);
  const session = double.createSession(opened, parts.session ?? 'machine:one');
  const { memory } = native;
  const manifest = memory.memfdCreate('manifest');
  memory.truncate(manifest, 65_536n);
  new SlotFile(memory, manifest).write(Buffer.from('{"format":"luo-manifest-1"}'));
  await double.preserveFd(session, manifest, manifestToken);
  const file = memory.memfdCreate('record');
  memory.truncate(file, 65_536n);
  new SlotFile(memory, file).write(Buffer.from(JSON.stringify(record(machines))));
  await double.preserveFd(index, file, manifestToken);
  const state = memory.memfdCreate('state');
  memory.write(state, 0n, Buffer.from('state'));
  writeMark(memory, state, saved, parts.mark ?? 'none');
  if (parts.attempts) writeAttempts(memory, state, saved, parts.attempts);
  if (parts.state) await double.preserveFd(index, state, 0n);
  const ram = memory.memfdCreate('ram');
  if (parts.memory) await double.preserveFd(session, ram, 7n);
  const others: Descriptor[] = [];
  for (const [at, bytes] of (parts.more ?? []).entries()) {
    const [otherState, otherRam] = [memory.memfdCreate('state'), memory.memfdCreate('ram')];
    others.push(otherState, otherRam);
    memory.truncate(otherState, BigInt(markOffset(saved)) + 8n);
    memory.truncate(otherRam, BigInt(bytes));
    await double.preserveFd(index, otherState, BigInt(at + 1));
    await double.preserveFd(session, otherRam, BigInt(100 + at + 1));
  }
  double.kexec();
  for (const each of [index, session, manifest, file, state, ram, ...others]) each.close();
}

const noMemory = (): Error =>
  Object.assign(new Error('ENOMEM'), { code: 'ENOMEM', errno: 12, syscall: 'ioctl' });

/** A service manager that notes what it is asked, and whose VMMs end at once. */
function failingStarter(asked: string[], pid: number | null = null): VmmStarter {
  return {
    resume: async (machine) => {
      asked.push(`resume ${unitNameOf(machine)}`);
      throw new Error('its VMM ended at once');
    },
    settle: async (machine) => void asked.push(`settle ${unitNameOf(machine)}`),
    pid: async (machine) => {
      asked.push(`pid ${unitNameOf(machine)}`);
      if (pid === null) throw new Error('its VMM ended at once');
      return pid;
    },
    stop: async (machine) => void asked.push(`stop ${unitNameOf(machine)}`),
    adopt: async (machine, pid) => void asked.push(`adopt ${unitNameOf(machine)} ${pid}`),
  };
}

function context(starter: VmmStarter): ResumeContext {
  const explain = async () => ({ availability: 'available' as const, explanation: '' });
  return {
    native,
    answerMeanwhile: async () => {},
    paths: { proc: '/proc', sys: '/nowhere' },
    carrier: null,
    device: new Device(double, { device } as ConstructorParameters<typeof Device>[1], explain),
    store: new DescriptorStore(native, null),
    starter,
    socketDirectory: join(directory, 'sockets'),
    startedAt: 0n,
    nothingCame: () => false,
    patience: { firstMs: 1, totalMs: 8 },
    pausesMs: [1],
    together: 8,
    needLimitS: 120,
    log: () => {},
  };
}

async function resume(starter: VmmStarter) {
  const { handed, resuming } = await resumeMachines(context(starter), []);
  const resumed = (await resuming?.done) ?? null;
  const runs = resumed?.machines.map(({ run }) => run) ?? [];
  return { handed, resumed, runs };
}

const stateOf = (held: readonly HeldMachine[] | undefined, session: string): Descriptor | undefined =>
  held?.find((machine) => machine.session === session)?.files.find(({ kind }) => kind === 'state')?.file;

const release = ({ handed, resumed }: Awaited<ReturnType<typeof resume>>): void => {
  for (const { descriptor } of handed) descriptor.close();
  for (const { files } of resumed?.held ?? []) for (const { file } of files) file.close();
};

describe('a saved machine', () => {
  it('is not started if its memory did not come through, and the descriptor is named', async () => {
    await arrive([saved], { state: true, memory: false });
    const asked: string[] = [];
    const found = await resume(failingStarter(asked, 1));
    expect(asked).toEqual(['settle one']);
    expect(found.runs).toMatchObject([{ stage: 'lost', newPid: null, blackoutUs: null }]);
    expect(found.runs[0]?.detail).toBe(
      'descriptor 0x7 of session machine:one could not be retrieved: ENOENT; it was not started without it',
    );
    release(found);
  });

  it('is not started if its state did not come through', async () => {
    await arrive([saved], { state: false, memory: true });
    const asked: string[] = [];
    const found = await resume(failingStarter(asked, 1));
    expect(asked).toEqual([]);
    expect(found.runs).toMatchObject([{ stage: 'lost' }]);
    expect(found.runs[0]?.detail).toContain('descriptor 0x0 of session luo-console');
    release(found);
  });

  it('whose VMM ends is tried again after each pause, then held with its state', async () => {
    await arrive([saved], { state: true, memory: true });
    const asked: string[] = [];
    const found = await resume(failingStarter(asked));
    expect(asked).toEqual([
      'settle one',
      ...['resume one', 'settle one', 'stop one'],
      ...['resume one', 'settle one', 'stop one'],
    ]);
    const detail = 'it does not run: 2 attempts; the last one: its VMM ended at once';
    expect(found.runs).toMatchObject([{ stage: 'held', detail }]);
    const state = stateOf(found.resumed?.held, 'machine:one');
    expect(state && native.memory.read(state, 0n, 5).toString()).toBe('state');
    release(found);
  });

  it('that no carrier had is waited for at each attempt, as not everything is mounted yet', async () => {
    const needs = [{ kind: 'mounted' as const, what: '/srv' }];
    await arrive([{ ...saved, facts: { ...usualFacts(saved), needs } }], { state: true, memory: true });
    const limits: unknown[] = [];
    const found = await resume({
      ...failingStarter([]),
      resume: async (_machine, { files: [program] }) => {
        const decoded = decodeProgram(readFileSync(program?.path ?? ''));
        limits.push(decoded.find(({ does }) => does === 'mounted')?.['limitS']);
        throw new Error('its VMM ended at once');
      },
    });
    expect(limits).toEqual([120n, 120n]);
    release(found);
  });

  it.each([
    [
      1,
      ['settle one', 'stop one', 'resume one', 'settle one', 'stop one'],
      '2 attempts; the last one: its VMM ended at once',
    ],
    [2, ['settle one', 'stop one'], '2 attempts, the last one by an agent before this one'],
    [255, ['settle one', 'stop one'], '255 attempts, the last one by an agent before this one'],
  ] as const)(
    'that agents have tried %i times before is not tried without end',
    async (attempts, asks, why) => {
      await arrive([saved], { state: true, memory: true, mark: 'starting', attempts });
      const asked: string[] = [];
      const found = await resume(failingStarter(asked));
      expect(asked).toEqual(asks);
      expect(found.runs).toMatchObject([{ stage: 'held', detail: `it does not run: ${why}` }]);
      release(found);
    },
  );

  it.each([
    ['none', 'held', ['settle one']],
    ['starting', 'held', ['settle one']],
    ['running', 'resumed', ['settle one', 'pid one']],
  ] as const)(
    'at the mark %s is not started beside a carrier that goes on: %s',
    async (mark, stage, asks) => {
      await arrive([saved], { state: true, memory: true, mark });
      const asked: string[] = [];
      const carrier: TakenOver = {
        ...{ sessions: [], events: new EventEmitter(), over: Promise.resolve() },
        machine: async () => ({ machine: null, goesOn: 'process 120 does not end' }),
        news: () => ({ machines: new Map(), bornNs: null, retrievedNs: null }),
      };
      const { handed, resuming } = await resumeMachines(
        { ...context(failingStarter(asked, 4711)), carrier },
        [],
      );
      const resumed = (await resuming?.done) ?? null;
      expect(asked).toEqual(asks);
      const run = resumed?.machines[0]?.run;
      expect(run?.stage).toBe(stage);
      if (stage === 'held')
        expect(run?.detail).toBe('it does not run: the carrier may be starting it: process 120 does not end');
      release({ handed, resumed, runs: [] });
    },
  );

  it.each([
    ['qemu (enforce)', null],
    ['unconfined', 'it should be confined by the security label qemu (enforce), and nothing confines it'],
  ])('whose VMM has the label %s in this kernel is said to have another one: %s', async (label, problem) => {
    const facts = { ...usualFacts(saved), profile: { name: 'qemu', mode: 'enforce' } };
    await arrive([{ ...saved, ran: false, facts }], { state: true, memory: true, mark: 'running' });
    mkdirSync(join(directory, '4711/attr/apparmor'), { recursive: true });
    writeFileSync(join(directory, '4711/attr/apparmor/current'), `${label}\n`);
    const said: unknown[] = [];
    const log: Log = (_level, message, fields) => {
      if (message.includes('label')) said.push([message, fields?.['problem']]);
    };
    const here = { ...context(failingStarter([], 4711)), paths: { proc: directory, sys: '/nowhere' }, log };
    const { handed, resuming } = await resumeMachines(here, []);
    const resumed = (await resuming?.done) ?? null;
    const paused = 'it is paused, as it was before';
    expect(resumed?.machines[0]?.run).toMatchObject({
      ...{ stage: 'resumed', newPid: 4711 },
      detail: problem === null ? paused : `${paused}; ${problem}`,
    });
    expect(said).toEqual(problem === null ? [] : [['a VMM has another security label than before', problem]]);
    release({ handed, resumed, runs: [] });
  });

  it('of which the carrier cannot say anything is held, and the others are not kept waiting', async () => {
    await arrive([saved, { ...saved, name: 'two', session: 'machine:two' }], { state: true, memory: true });
    const carrier: TakenOver = {
      ...{ sessions: [], events: new EventEmitter(), over: Promise.resolve() },
      machine: async (session) => {
        if (session === 'machine:one') throw new Error('EIO');
        return { machine: null, goesOn: null };
      },
      news: () => ({ machines: new Map(), bornNs: null, retrievedNs: null }),
    };
    const { handed, resuming } = await resumeMachines({ ...context(failingStarter([])), carrier }, []);
    const order: string[] = [];
    for await (const { name, detail } of resuming?.inTurn() ?? []) order.push(`${name}: ${detail}`);
    expect(order[0]).toBe('one: it does not run: EIO');
    expect(order.map((each) => each.split(':')[0])).toEqual(['one', 'two']);
    expect(resuming?.saying()).toBe(null);
    const resumed = (await resuming?.done) ?? null;
    expect(resumed?.held.map(({ session }) => session).toSorted()).toEqual(['machine:one', 'machine:two']);
    release({ handed, resumed, runs: [] });
  });

  it('is named in a status that the service manager takes, however many there are', async () => {
    const many = Array.from({ length: 30 }, (_, index) => ({
      ...{ ...saved, name: `${index} ${'n'.repeat(190)}`, session: `machine:${index}` },
    }));
    await arrive(many, { state: true, memory: true });
    const never = new Promise<never>(() => {});
    const carrier: TakenOver = {
      ...{ sessions: [], events: new EventEmitter(), over: never, machine: () => never },
      news: () => ({ machines: new Map(), bornNs: null, retrievedNs: null }),
    };
    const { handed, resuming } = await resumeMachines({ ...context(failingStarter([])), carrier }, []);
    const saying = resuming?.saying() ?? '';
    expect(saying).toContain('and 22 more');
    // `NOTIFY_BUFFER_MAX` of systemd (src/shared/notify-recv.h).
    expect(Buffer.byteLength(`STATUS=${saying}`)).toBeLessThan(4096);
    release({ handed, resumed: null, runs: [] });
  });

  it('is started although the index cannot be retrieved at first', async () => {
    await arrive([saved], { state: true, memory: true });
    vi.spyOn(double, 'retrieveSession').mockRejectedValueOnce(noMemory()).mockRejectedValueOnce(noMemory());
    const asked: string[] = [];
    const found = await resume(failingStarter(asked, 1));
    expect(asked.slice(0, 2)).toEqual(['settle one', 'resume one']);
    release(found);
  });

  it('is not started if the index cannot be retrieved, which is told from there being none', async () => {
    await arrive([saved], { state: true, memory: true });
    const retrieving = vi.spyOn(double, 'retrieveSession').mockRejectedValue(noMemory());
    const said: string[] = [];
    const log = (_level: string, message: string, fields?: object) =>
      void said.push(`${message} ${JSON.stringify(fields)}`);
    const found = await resumeMachines({ ...context(failingStarter([])), log }, []);
    expect(found).toEqual({ handed: [], resuming: null });
    expect(said[0]).toBe('a session could not be retrieved {"session":"luo-console","errno":"ENOMEM"}');
    retrieving.mockRestore();
    double[Symbol.dispose]();
    double = new LiveUpdateDouble({ path: device });
    native = { ...realNative, liveUpdate: double };
    said.length = 0;
    await resumeMachines({ ...context(failingStarter([])), log }, []);
    expect(said).toEqual([]);
  });

  it('that an agent had begun to start is stopped first', async () => {
    await arrive([saved], { state: true, memory: true, mark: 'starting' });
    const asked: string[] = [];
    const found = await resume(failingStarter(asked));
    expect(asked.slice(0, 3)).toEqual(['settle one', 'stop one', 'resume one']);
    release(found);
  });

  it('that runs by now is not called lost because its session is finished already', async () => {
    await arrive([saved], { state: true, memory: false, mark: 'running' });
    const found = await resume(failingStarter([], 4711));
    expect(found.runs).toMatchObject([{ stage: 'resumed', newPid: 4711 }]);
    release(found);
  });

  it.each([
    { mark: 'settled', asks: [], run: { stage: 'held', detail: 'its update is settled' } },
    { mark: 'settled_running', asks: ['pid one'], run: { stage: 'resumed', newPid: 4711 } },
  ] as const)('of a settled update is left alone: $mark', async ({ mark, asks, run }) => {
    await arrive([saved], { state: true, memory: true, mark });
    const asked: string[] = [];
    const found = await resume(failingStarter(asked, 4711));
    expect(asked).toEqual(asks);
    expect(found.runs).toMatchObject([run]);
    release(found);
  });

  it('that was told to run, after which its start failed, is asked how it is', async () => {
    await arrive([saved], { state: true, memory: true });
    const asked: string[] = [];
    const starter: VmmStarter = {
      ...failingStarter(asked, 4711),
      resume: async (_machine, { files: [, state] }) => {
        const fd = openSync(state?.path ?? '', 'r+');
        writeSync(fd, Uint8Array.of(markByte('running')), 0, 1, Number(markOffset(saved)));
        closeSync(fd);
        throw new Error('its monitor did not answer');
      },
    };
    const found = await resume(starter);
    expect(asked).not.toContain('stop one');
    expect(found.runs).toMatchObject([{ stage: 'resumed', newPid: 4711 }]);
    release(found);
  });

  it('that may have run is never loaded again', async () => {
    await arrive([saved], { state: true, memory: true, mark: 'running' });
    const asked: string[] = [];
    const found = await resume(failingStarter(asked, 4711));
    expect(asked).toEqual(['settle one', 'pid one']);
    expect(found.runs).toMatchObject([{ stage: 'resumed', newPid: 4711 }]);
    release(found);
  });

  it('that the agent of the old package saved is found under the old name of the index', async () => {
    const index = formerIndexSessionName;
    const pieces = [{ bytes: 0, files: [{ session: index, token: '0x0' }] }];
    await arrive([{ ...saved, way: 'cpr', pieces }], { state: true, memory: true, index });
    const asked: string[] = [];
    const found = await resume(failingStarter(asked));
    expect(asked.slice(0, 2)).toEqual(['settle one', 'resume one']);
    expect(found.runs).toMatchObject([{ stage: 'held' }]);
    // An agent that comes after this one finds everything under the same names.
    const names = found.handed.map(({ name }) => Buffer.from(name.slice(2), 'hex').toString());
    expect(names).toEqual([formerIndexSessionName, 'machine:one']);
    const { resuming } = await resumeMachines(context(failingStarter(asked)), found.handed);
    const again = await resuming?.done;
    expect(again?.machines).toMatchObject([{ run: { stage: 'held' } }]);
    for (const { files } of again?.held ?? []) for (const { file } of files) file.close();
    release(found);
  });

  it('is started where people have a session of the name of the index, with its memory in that', async () => {
    const index = formerIndexSessionName;
    const memory = [{ backend: 'ram', session: indexSessionName, token: '0x7' }];
    await arrive([{ ...saved, memory }], { state: true, memory: true, index, session: indexSessionName });
    const asked: string[] = [];
    const found = await resume(failingStarter(asked));
    expect(asked.slice(0, 2)).toEqual(['settle one', 'resume one']);
    const names = found.handed.map(({ name }) => Buffer.from(name.slice(2), 'hex').toString());
    expect(names).toEqual([indexSessionName, formerIndexSessionName]);
    release(found);
  });

  it('is started beside one whose record does not fit, of which everything is handed on', async () => {
    const bad = {
      ...saved,
      name: 'two',
      session: 'machine:two',
      command: { ...saved.command, program: 'qemu' },
    };
    await arrive([bad, saved], { state: true, memory: true });
    const asked: string[] = [];
    const found = await resume(failingStarter(asked));
    expect(asked.slice(0, 2)).toEqual(['settle one', 'resume one']);
    expect(found.runs.map(({ name }) => name)).toEqual(['one']);
    expect(found.resumed?.unread).toMatchObject([{ name: 'two', session: 'machine:two' }]);
    const held = found.resumed?.held.find(({ session }) => session === 'machine:two');
    expect(held?.record).toEqual(bad);
    const state = stateOf(found.resumed?.held, 'machine:two');
    expect(state && native.memory.read(state, 0n, 5).toString()).toBe('state');
    release(found);
  });
});

describe('several machines', () => {
  const facts = usualFacts(saved);
  const waiting = { ...facts, needs: [{ kind: 'present', what: '/dev/kvm' } as const] };
  /** In the order in which they were saved. */
  const kinds: Readonly<Record<string, { priority: number; needs: boolean; bytes: number }>> = {
    large: { priority: 0, needs: false, bytes: 8192 },
    waits: { priority: 0, needs: true, bytes: 4096 },
    small: { priority: 0, needs: false, bytes: 4096 },
    first: { priority: 7, needs: true, bytes: 16_384 },
  };
  const several = Object.entries(kinds).map(([name, { priority, needs }], at): SavedMachine => {
    const memory = [{ backend: 'ram', session: 'machine:one', token: `0x${(101 + at).toString(16)}` }];
    const state = { ...saved.state, token: `0x${at + 1}`, cprBytes: 0, mainBytes: 5 };
    return {
      ...saved,
      ...{ name, session: `machine:${name}`, priority, memory, state },
      facts: needs ? waiting : facts,
    };
  });
  const bytes = Object.values(kinds).map((each) => each.bytes);

  /** A service manager whose starts end, badly, when they are told to. */
  function heldStarter() {
    const under = new Map<string, () => void>();
    const begun: string[] = [];
    const starter: VmmStarter = {
      ...failingStarter([]),
      resume: async (machine) => {
        const name = unitNameOf(machine);
        begun.push(name);
        await new Promise<void>((resolve) => void under.set(name, resolve));
        under.delete(name);
        throw new Error('its VMM ended at once');
      },
    };
    return { starter, under, begun, end: (name: string) => under.get(name)?.() };
  }

  it.each([1, 2])('are started in their order, no more than %i at once', async (together) => {
    await arrive(several, { state: true, memory: true, more: bytes });
    const { starter, under, begun, end } = heldStarter();
    const { handed, resuming } = await resumeMachines({ ...context(starter), together, pausesMs: [] }, []);
    const order = ['first', 'small', 'large', 'waits'];
    for (const [at, name] of order.entries()) {
      const expected = order.slice(0, at + together);
      await vi.waitFor(() => expect(begun).toEqual(expected));
      expect(under.size).toBe(Math.min(together, order.length - at));
      const details = Object.fromEntries((resuming?.runs() ?? []).map((run) => [run.name, run.detail]));
      for (const later of order.slice(at + together))
        expect(details[later]).toBe('it waits until machines that come before it have been started');
      end(name);
    }
    const resumed = (await resuming?.done) ?? null;
    expect(resumed?.machines.map(({ saved: { name } }) => name)).toEqual(Object.keys(kinds));
    release({ handed, resumed, runs: [] });
  });

  it('are started while one that has failed pauses', async () => {
    await arrive(several, { state: true, memory: true, more: bytes });
    const { starter, begun, end } = heldStarter();
    const { handed, resuming } = await resumeMachines(
      { ...context(starter), together: 1, pausesMs: [250] },
      [],
    );
    await vi.waitFor(() => expect(begun).toEqual(['first']));
    end('first');
    await vi.waitFor(() => expect(begun.length).toBe(2));
    expect(begun).toEqual(['first', 'small']);
    while (resuming?.isOver === false) {
      for (const { name } of several) end(name);
      await new Promise((resolve) => void setImmediate(resolve));
    }
    const resumed = (await resuming?.done) ?? null;
    expect(begun.toSorted()).toEqual(several.flatMap(({ name }) => [name, name]).toSorted());
    release({ handed, resumed, runs: [] });
  });
});

describe('a host', () => {
  it('without saved machines hands on what it found', async () => {
    await arrive([], { state: false, memory: false });
    const found = await resume(failingStarter([]));
    expect(found.resumed).toBeNull();
    expect(found.handed.length).toBe(1);
    release(found);
  });

  it('without live update has nothing to let run', async () => {
    double.openFailure = 'ENOENT';
    expect(await resumeMachines(context(failingStarter([])), [])).toEqual({ handed: [], resuming: null });
  });
});
