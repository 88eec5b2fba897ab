// SPDX-License-Identifier: Apache-2.0
/**
 * Adopted machines before the kexec: VMMs that share memory, end, or whose number another process has; and guests
 * that an agent stopped before it died.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Descriptor, type Native, native as realNative } from '@luo-console/native';
import { LiveUpdateDouble } from '@luo-console/native/double';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { type HostPaths, realHostPaths } from '../host/paths.ts';
import { identify } from '../host/process-files.ts';
import { Refusal } from '../host/refusal.ts';
import type { Machine, MachineDescriptor } from '../interface/agent.generated.ts';
import { Journal, type JournalEntry } from '../journal/index.ts';
import { DescriptorStore } from '../liveupdate/descriptor-store.ts';
import { Device } from '../liveupdate/device.ts';
import { agentItself } from '../liveupdate/live-update-context.ts';
import { SessionStore } from '../liveupdate/sessions.ts';
import { type Answer, type FakeQmp, serveQmp, value } from '../qemu/fake-qmp.fixture.ts';
import { Adoptions } from './adoptions.ts';

const patience = { firstMs: 1, totalMs: 20 };
const plain = { unlink: false, definition: null };

let directory: string;
let double: LiveUpdateDouble;
let native: Native;
let sessions: SessionStore;
let adoptions: Adoptions;
let journal: Journal;
let mayLetRunOn: boolean;
/** Machines and their files, as looking at them gives. */
let machines: Map<number, { machine: Machine; files: Map<number, Descriptor> }>;

beforeEach(() => {
  directory = mkdtempSync('/dev/shm/luo-adoptions-');
  double = new LiveUpdateDouble({ path: '/dev/made-up' });
  native = {
    ...realNative,
    memory: { ...realNative.memory },
    liveUpdate: double,
    serviceManager: { notify: () => false, takeListenFds: () => [] },
  };
  const paths: HostPaths = { ...realHostPaths, device: '/dev/made-up' };
  journal = new Journal(join(directory, 'journal.db'), {
    ...{ bootId: 'this', phase: () => 'normal', update: () => null },
    ...{ nowUs: () => 1, steadyUs: () => 1 },
  });
  const explain = async () => ({ availability: 'available' as const, explanation: '' });
  sessions = new SessionStore({
    ...{ native, paths, journal, patience, nowUs: () => 1 },
    device: new Device(double, paths, explain, patience),
    store: new DescriptorStore(native, null),
    kernelLog: { mark: () => 0, since: () => [] },
  });
  machines = new Map();
  mayLetRunOn = true;
  const known = (pid: number) => {
    const found = machines.get(pid);
    if (!found) throw new Refusal('NoSuchProcess', { pid });
    return found;
  };
  adoptions = new Adoptions({
    ...{ native, paths, sessions, journal, bootId: 'this' },
    look: async (pid) => known(pid).machine,
    take: (pid, fd) => {
      const file = known(pid).files.get(fd);
      if (!file) throw new Refusal('NoSuchDescriptor', { pid, fd });
      return native.descriptors.duplicate(file);
    },
    mayLetRunOn: () => mayLetRunOn,
    log: () => {},
  });
});
afterEach(() => {
  for (const { name } of sessions.list()) sessions.get(name).release();
  for (const { files } of machines.values()) for (const file of files.values()) file.close();
  double[Symbol.dispose]();
  journal.close();
  rmSync(directory, { recursive: true });
});

const descriptor = (fd: number, name: string, size: number): MachineDescriptor => ({
  ...{ fd, duplicates: [], kind: 'memfd', name, size, inode: fd, guestMemory: true, pciAddress: null },
  ...{ dependsOn: [], sharedWith: [], fate: 'preservable', reason: '', source: 'rule', errno: null },
  ...{ session: null, token: null },
});

/** A process that stands for the VMM of a machine with these memory files. */
async function startVmm(
  name: string,
  files: readonly Descriptor[],
  monitor = '/nowhere',
  third: number | 'ignore' = 'ignore',
): Promise<ChildProcess> {
  const child = spawn('sleep', ['600'], { stdio: ['ignore', 'ignore', 'ignore', third] });
  await once(child, 'spawn');
  onTestFinished(() => void child.kill('SIGKILL'));
  const pid = child.pid ?? 0;
  const machine: Machine = {
    ...{ name, pid, user: 'root', command: 'sleep', vmm: 'QEMU', version: null, vcpus: 1, memory: 4 },
    ...{ memoryInFiles: 4, state: 'running', accelerator: 'tcg', monitor: 'answered', monitorPath: monitor },
    ...{ monitorDetail: '', sharesMemoryWith: [], otherDescriptors: 0, way: 'cpr', wayReason: '' },
    ...{ expectedBlackoutUs: null, unlinks: [], session: null, definition: null, consolePath: null },
    descriptors: files.map((file, index) => {
      const { size } = native.memory.fileFacts(file);
      return descriptor(3 + index, `/memfd:${name}${index} (deleted)`, Number(size));
    }),
  };
  machines.set(pid, { machine, files: new Map(files.map((file, index) => [3 + index, file])) });
  return child;
}

const memfd = (text: string): Descriptor => {
  const file = native.memory.memfdCreate(text);
  native.memory.write(file, 0n, Buffer.from(text));
  return file;
};

const adopt = async (child: ChildProcess): Promise<string> => {
  const pid = child.pid ?? 0;
  await adoptions.adopt(pid, plain, agentItself);
  return adoptions.list().find(({ machine }) => machine.pid === pid)?.session ?? '';
};

const end = async (child: ChildProcess): Promise<void> => {
  child.kill('SIGKILL');
  await once(child, 'exit');
};

/** The next time that anything about the sessions changes. */
const changed = (): Promise<unknown> => once(sessions.events, 'changed');

const placesIn = (session: string): number =>
  sessions.has(session) ? sessions.get(session).toSession().descriptors.length : -1;

describe('a machine', () => {
  it('whose preserving fails is not adopted, and its memory can be preserved afterwards', async () => {
    const one = await startVmm('one', [memfd('ram'), memfd('more')]);
    const { preserveFd } = double;
    vi.spyOn(double, 'preserveFd').mockImplementation(async (...given) => {
      if (given[2] !== 1n) return await preserveFd.apply(double, given);
      throw Object.assign(new Error('preserveFd: ENOMEM'), { code: 'ENOMEM', errno: 12, syscall: 'ioctl' });
    });
    await expect(adopt(one)).rejects.toMatchObject({ refusal: 'KernelCallFailed' });
    expect(sessions.list()).toEqual([]);
    vi.restoreAllMocks();
    expect(placesIn(await adopt(one))).toBe(2);
  });

  it('has no session any more once its VMM has ended', async () => {
    const one = await startVmm('one', [memfd('ram')]);
    const session = await adopt(one);
    const gone = changed();
    await end(one);
    await gone;
    await sessions.quiet();
    expect(sessions.has(session)).toBe(false);
  });

  it('whose shared memory is in the session of one that is released is preserved again', async () => {
    const shared = memfd('shared');
    const one = await startVmm('one', [shared, memfd('own')]);
    const two = await startVmm('two', [native.descriptors.duplicate(shared)]);
    const [first, second] = [await adopt(one), await adopt(two)];
    expect([placesIn(first), placesIn(second)]).toEqual([2, 0]);
    await adoptions.release(one.pid ?? 0, agentItself);
    expect([placesIn(first), placesIn(second)]).toEqual([-1, 1]);
  });

  it('that shares memory keeps it when the VMM of the other one ends', async () => {
    const shared = memfd('shared');
    const one = await startVmm('one', [shared]);
    const two = await startVmm('two', [native.descriptors.duplicate(shared)]);
    const [, second] = [await adopt(one), await adopt(two)];
    await end(one);
    await vi.waitFor(() => expect(placesIn(second)).toBe(1));
  });

  it('is told by its start time from another process of its number', async () => {
    const one = await startVmm('one', [memfd('ram')]);
    const session = await adopt(one);
    const identity = await identify('/proc', one.pid ?? 0);
    if (!identity) throw new Error('the process has ended');
    expect(adoptions.of(identity)).toMatchObject({ session });
    expect(adoptions.of({ ...identity, startTime: '1' })).toBeNull();
    // As an agent finds it that is started after the number has passed to another process.
    sessions.get(session).updateMachine({ startTime: '1' });
    await adoptions.takeOver();
    expect(sessions.has(session)).toBe(false);
  });
});

describe('the memory of a machine', () => {
  const huge = 2 << 20;
  const large = (name: string, bytes = 2 * huge): Descriptor => {
    const file = memfd(name);
    native.memory.truncate(file, BigInt(bytes));
    return file;
  };
  /** What was done to files, in order: `collapse` and `preserve`. */
  const acts = (): string[] => {
    const happened: string[] = [];
    const { collapse } = native.memory;
    const { preserveFd } = double;
    vi.spyOn(native.memory, 'collapse').mockImplementation(async (...given) => {
      happened.push('collapse');
      return await collapse(...given);
    });
    vi.spyOn(double, 'preserveFd').mockImplementation(async (...given) => {
      // Manifests have tokens above all others.
      if (given[2] < 1000n) happened.push('preserve');
      await preserveFd.apply(double, given);
    });
    onTestFinished(() => void vi.restoreAllMocks());
    return happened;
  };
  const refused = (code: string): Error =>
    Object.assign(new Error(`${code}, madvise`), { code, errno: 12, syscall: 'madvise(MADV_COLLAPSE)' });
  /** What the journal's newest entry of that kind says of the adoption. */
  let adoptEntry: Record<string, unknown> | undefined;
  beforeEach(() => {
    adoptEntry = undefined;
    journal.events.on('entry', ({ name, kind, parameters }: JournalEntry) => {
      if (name === 'machine.adopt' && kind === 'result') adoptEntry = parameters;
    });
  });

  it('is in huge pages before it is preserved, as the journal says', async () => {
    const ram = large('ram', 3 * huge);
    const happened = acts();
    await adopt(await startVmm('one', [ram, large('more')]));
    expect(happened).toEqual(['collapse', 'preserve', 'collapse', 'preserve']);
    expect(await native.memory.hugeBytes(ram)).toBe(BigInt(3 * huge));
    expect(native.memory.read(ram, 0n, 3).toString()).toBe('ram');
    expect(adoptEntry).toMatchObject({
      hugePages: { bytes: 5 * huge, hugeBytes: 5 * huge, problem: null },
    });
  });

  it.each([
    { kind: 'memfd', bytes: huge - 4096 },
    { kind: 'hugetlb', bytes: 2 * huge },
  ] as const)('stays as it is if it is $kind of $bytes bytes', async ({ kind, bytes }) => {
    const one = await startVmm('one', [large('ram', bytes)]);
    for (const each of machines.get(one.pid ?? 0)?.machine.descriptors ?? []) each.kind = kind;
    const happened = acts();
    await adopt(one);
    expect(happened).toEqual(['preserve']);
    expect(adoptEntry).not.toHaveProperty('hugePages');
  });

  it('is preserved in small pages if the host has no huge page left', async () => {
    vi.spyOn(native.memory, 'collapse').mockRejectedValue(refused('ENOMEM'));
    onTestFinished(() => void vi.restoreAllMocks());
    expect(placesIn(await adopt(await startVmm('one', [large('ram')])))).toBe(1);
    expect(adoptEntry).toMatchObject({ hugePages: { hugeBytes: 0, problem: 'ENOMEM, madvise' } });
  });

  it('that came since is in huge pages before the update preserves it, and nothing else is touched', async () => {
    const one = await startVmm('one', [large('ram')]);
    const session = await adopt(one);
    const found = machines.get(one.pid ?? 0);
    found?.files.set(4, large('plugged'));
    found?.machine.descriptors.push(descriptor(4, '/memfd:plugged (deleted)', 2 * huge));
    const happened = acts();
    const told: number[] = [];
    await adoptions.protect(session, agentItself, { onProgress: (...given) => void told.push(...given) });
    expect(happened).toEqual(['collapse', 'preserve']);
    expect(told).toEqual([2 * huge, 2 * huge]);
    expect(placesIn(session)).toBe(2);
  });

  it('is neither collapsed further nor preserved once the update is aborted', async () => {
    const one = await startVmm('one', [memfd('small')]);
    const session = await adopt(one);
    const found = machines.get(one.pid ?? 0);
    found?.files.set(4, large('plugged', 64 * huge));
    found?.machine.descriptors.push(descriptor(4, '/memfd:plugged (deleted)', 64 * huge));
    const happened = acts();
    const aborting = new AbortController();
    const onProgress = (): void => aborting.abort(new Error('called off'));
    const protecting = adoptions.protect(session, agentItself, { signal: aborting.signal, onProgress });
    await expect(protecting).rejects.toThrow('called off');
    expect(happened).toEqual(['collapse']);
  });

  it('is not collapsed further once somebody else has preserved it, and is preserved once', async () => {
    const ram = large('ram', 64 * huge);
    const one = await startVmm('one', [ram]);
    await sessions.create('other', agentItself);
    const request = { token: null, label: 'ram', source: 'test' };
    const { collapse } = native.memory;
    const collapsing = vi.spyOn(native.memory, 'collapse').mockImplementation(async (...given) => {
      const bytes = await collapse(...given);
      await sessions.preserve('other', ram, request, agentItself);
      return bytes;
    });
    onTestFinished(() => void vi.restoreAllMocks());
    expect(placesIn(await adopt(one))).toBe(0);
    expect(collapsing).toHaveBeenCalledTimes(1);
    expect(placesIn('other')).toBe(1);
  });

  it('is not collapsed further once the machine is released, and its adoption fails', async () => {
    const one = await startVmm('one', [large('ram', 64 * huge)]);
    const { collapse } = native.memory;
    const collapsing = vi.spyOn(native.memory, 'collapse').mockImplementation(async (...given) => {
      await adoptions.release(one.pid ?? 0, agentItself);
      return await collapse(...given);
    });
    onTestFinished(() => void vi.restoreAllMocks());
    await expect(adopt(one)).rejects.toMatchObject({ refusal: 'SessionNotFound' });
    expect(collapsing).toHaveBeenCalledTimes(1);
    expect(sessions.list()).toEqual([]);
  });

  it('is preserved again at once when the machine that shared it has ended', async () => {
    const shared = large('shared');
    const one = await startVmm('one', [shared]);
    const two = await startVmm('two', [native.descriptors.duplicate(shared)]);
    const [, second] = [await adopt(one), await adopt(two)];
    const happened = acts();
    await end(one);
    await vi.waitFor(() => expect(placesIn(second)).toBe(1));
    expect(happened).toEqual(['preserve']);
  });
});

describe('a guest that was stopped', () => {
  let monitor: FakeQmp;
  let running = false;
  const paused: Record<string, Answer> = {
    'query-status': (socket, id) => value({ status: running ? 'running' : 'paused', running })(socket, id),
  };
  const runs: Answer = (socket, id) => {
    running = true;
    value({})(socket, id);
  };
  beforeEach(() => {
    running = false;
  });

  async function stopped(answers: Parameters<typeof serveQmp>[0]): Promise<[ChildProcess, string]> {
    monitor = await serveQmp(answers);
    const one = await startVmm('one', [memfd('ram')], monitor.path);
    const session = await adopt(one);
    adoptions.markSuspended(session, true);
    return [one, session];
  }

  it('is let run on by the agent that finds its mark', async () => {
    const [, session] = await stopped({ ...paused, cont: runs });
    await adoptions.letRunOn();
    expect(monitor.commands).toContain('cont');
    expect(sessions.get(session).machine?.suspended).toBe(false);
  });

  it('is not told to run if it runs already', async () => {
    const [, session] = await stopped({ 'query-status': value({ status: 'running', running: true }) });
    await adoptions.letRunOn();
    expect(monitor.commands).not.toContain('cont');
    expect(sessions.get(session).machine?.suspended).toBe(false);
  });

  it.each([
    { how: 'again and again', underWay: false },
    { how: 'no more while an update is under way', underWay: true },
  ])('is tried $how if its monitor refuses', async ({ underWay }) => {
    let refusing = true;
    const refused = JSON.stringify({ error: { class: 'GenericError', desc: 'not now' } });
    const [, session] = await stopped({
      ...paused,
      cont: (socket, id) => (refusing ? socket.write(`${refused}\n`) : runs(socket, id)),
    });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    await adoptions.letRunOn();
    expect(sessions.get(session).machine?.suspended).toBe(true);
    refusing = false;
    mayLetRunOn = !underWay;
    const again = vi.spyOn(adoptions, 'letRunOn');
    vi.advanceTimersByTime(2000);
    vi.useRealTimers();
    expect(again).toHaveBeenCalledTimes(underWay ? 0 : 1);
    if (!underWay) await vi.waitFor(() => expect(sessions.get(session).machine?.suspended).toBe(false));
  });

  it('and whose VMM ends is not closed by that: its session stays until it is released', async () => {
    const [one, session] = await stopped(paused);
    await end(one);
    await adoptions.takeOver();
    await adoptions.letRunOn();
    expect(sessions.has(session)).toBe(true);
    await adoptions.release(one.pid ?? 0, agentItself);
    expect(sessions.has(session)).toBe(false);
  });
});

describe('a machine whose memory has a name', () => {
  it('loses it only if that was allowed, and has a link in its place when it is released', async () => {
    const path = join(directory, 'ram');
    writeFileSync(path, 'ram');
    const opened = openSync(path, 'r+');
    const file = native.descriptors.duplicate(opened);
    const one = await startVmm('one', [file], '/nowhere', opened);
    closeSync(opened);
    const pid = one.pid ?? 0;
    const found = machines.get(pid);
    if (!found) throw new Error('the machine is not known');
    const [memory] = found.machine.descriptors;
    const named = memory ? [{ ...memory, name: path }] : [];
    machines.set(pid, { ...found, machine: { ...found.machine, unlinks: [path], descriptors: named } });
    await expect(adopt(one)).rejects.toMatchObject({ refusal: 'MachineUnusable' });
    expect(lstatSync(path).isFile()).toBe(true);
    await adoptions.adopt(pid, { ...plain, unlink: true }, agentItself);
    expect(existsSync(path)).toBe(false);
    await adoptions.release(pid, agentItself);
    expect(readlinkSync(path)).toBe(`/proc/${pid}/fd/3`);
  });
});
