// SPDX-License-Identifier: Apache-2.0
/** The last sync of what a process writes to: a real one, whose file lies on this machine's disk. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Descriptor, native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { realHostPaths } from '../../host/paths.ts';
import { takeFromProcess } from '../../host/process-descriptor.ts';
import { LastSync, type SyncContext } from './last-sync.ts';

/** As root, and where there is the device that the node is of. */
const canMakeNodes = process.getuid?.() === 0 && existsSync('/dev/loop0');

let directory: string;
let vmm: ChildProcess;
/** What was called, with the device of the file that it was given. */
let calls: [call: string, device: bigint | null][];
/** What syncing a file system does. */
let answer: (file: { readonly dev: bigint }) => Promise<void>;
let context: { -readonly [Key in keyof SyncContext]: SyncContext[Key] };

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'luo-last-sync-'));
  const disk = openSync(join(directory, 'disk'), 'w');
  vmm = spawn('sleep', ['infinity'], { stdio: ['ignore', 'ignore', 'ignore', disk] });
  closeSync(disk);
  calls = [];
  answer = async () => {};
  const called = (call: string) => async (file: Descriptor) => {
    const facts = native.memory.fileFacts(file);
    calls.push([call, facts.dev]);
    file.close();
    await answer(facts);
  };
  const kernel = {
    ...native.kernel,
    sync: async () => void calls.push(['sync', null]),
    syncFileSystem: called('syncfs'),
    syncBlockDevice: called('fsync'),
  };
  context = {
    native: { ...native, kernel },
    paths: realHostPaths,
    // On another file system than the disk, as far as there is one.
    stateDirectory: '/dev/shm',
    take: (pid, fd) => takeFromProcess(native, pid, fd),
    log: () => {},
  };
});
afterEach(async () => {
  if (vmm.kill('SIGKILL')) await once(vmm, 'exit');
  rmSync(directory, { recursive: true });
});

const deviceOf = (path: string): bigint => statSync(path, { bigint: true }).dev;
const lastSync = (): Promise<LastSync> => LastSync.of(context, [vmm.pid ?? 0, vmm.pid ?? 0]);

describe('the last sync', () => {
  it('is of the file systems that VMMs write to, and of the journal, each once and no other', async () => {
    await (await lastSync()).run();
    // In any order: they are synced at the same time.
    expect(calls).toHaveLength(2);
    expect(calls).toEqual(
      expect.arrayContaining([
        ['syncfs', deviceOf(directory)],
        ['syncfs', deviceOf('/dev/shm')],
      ]),
    );
    calls = [];
    context = { ...context, stateDirectory: directory };
    await (await lastSync()).run();
    expect(calls).toEqual([['syncfs', deviceOf(directory)]]);
  });

  it('writes out for real', async () => {
    await (await LastSync.of({ ...context, native }, [vmm.pid ?? 0])).run();
  });

  it('says of a place that does not answer which VMMs write there, once', async () => {
    answer = ({ dev }) => (dev === deviceOf(directory) ? new Promise(() => {}) : Promise.resolve());
    const last = await lastSync();
    expect(await last.run({ limitMs: 5 })).toEqual([
      {
        pids: [vmm.pid],
        problem: expect.stringMatching(
          /^the file system \S+ at \/\S* could not be synced: it did not answer within 5 ms$/,
        ),
      },
    ]);
    calls = [];
    expect(await last.run()).toEqual([]);
    expect(calls).toEqual([['syncfs', deviceOf('/dev/shm')]]);
  });

  it('says of a place that cannot be written why', async () => {
    answer = async ({ dev }) => {
      if (dev === deviceOf(directory)) throw new Error('EIO');
    };
    expect(await (await lastSync()).run()).toMatchObject([
      { problem: expect.stringMatching(/synced: EIO$/) },
    ]);
  });

  it('ends where one does not answer that is the agent’s as well, and names all', async () => {
    answer = () => new Promise(() => {});
    const problem =
      /^the file system \S+ at \/\S* could not be synced: .* 5 ms; the file system of \/dev\/shm/;
    await expect((await lastSync()).run({ limitMs: 5 })).rejects.toThrow(problem);
    context = { ...context, stateDirectory: directory };
    await expect((await lastSync()).run({ limitMs: 5 })).rejects.toThrow(/^the file system \S+ at/);
  });

  it('can be of the places alone to which only VMMs write', async () => {
    await (await lastSync()).run({ ofVmms: true });
    expect(calls).toEqual([['syncfs', deviceOf(directory)]]);
  });

  it('ends with the update', async () => {
    answer = () => new Promise(() => {});
    const abort = new AbortController();
    const running = (await lastSync()).run({ signal: abort.signal });
    abort.abort(new Error('changed my mind'));
    await expect(running).rejects.toThrow('changed my mind');
  });

  it('is given up where it is not found out in time, or before the update ends, what is written to', async () => {
    // Nobody writes to this pipe, so its reader waits as for a procfs that does not answer.
    const proc = join(directory, 'proc');
    mkdirSync(join(proc, '7'), { recursive: true });
    const mounts = join(proc, '7', 'mountinfo');
    execFileSync('mkfifo', [mounts]);
    const silent = { ...context, paths: { ...context.paths, proc } };
    try {
      await expect(LastSync.of(silent, [7], { limitMs: 5 })).rejects.toThrow(
        'it was not found out within 5 ms where machines write to',
      );
      const abort = new AbortController();
      const finding = LastSync.of(silent, [7], { signal: abort.signal });
      abort.abort(new Error('changed my mind'));
      await expect(finding).rejects.toThrow('changed my mind');
    } finally {
      closeSync(openSync(mounts, constants.O_RDWR));
    }
  });

  it.runIf(canMakeNodes)('is of the block device itself, also if its node is on a disk', async () => {
    const node = join(directory, 'node');
    execFileSync('mknod', [node, 'b', '7', '0']);
    const opened = openSync(node, 'r+');
    const writer = spawn('sleep', ['infinity'], { stdio: ['ignore', 'ignore', 'ignore', opened] });
    closeSync(opened);
    const last = await LastSync.of(context, [writer.pid ?? 0]);
    expect(last.names).toContain(`the block device ${node}`);
    await last.run();
    expect(calls).toContainEqual(['fsync', deviceOf(directory)]);
    writer.kill('SIGKILL');
    await once(writer, 'exit');
  });

  it('is of the same file although it has another number by now, and its own has gone to another file', async () => {
    const last = await lastSync();
    const [at, other] = [join(directory, 'disk'), '/dev/shm'];
    const moved = openSync(at, 'r');
    const elsewhere = openSync(other, 'r');
    // Another process in its place: what it has open is numbered differently.
    const after = spawn('sleep', ['infinity'], { stdio: ['ignore', 'ignore', 'ignore', elsewhere, moved] });
    for (const file of [moved, elsewhere]) closeSync(file);
    const take = context.take;
    const pid = after.pid ?? 0;
    context.take = (_pid, fd) => take(pid, fd);
    const proc = join(directory, 'proc');
    mkdirSync(proc);
    symlinkSync(`/proc/${pid}`, join(proc, String(vmm.pid)));
    context.paths = { ...context.paths, proc };
    await last.run();
    expect(calls).toContainEqual(['syncfs', deviceOf(directory)]);
    after.kill('SIGKILL');
    await once(after, 'exit');
  });

  it('is of everything where a VMM has ended: what it wrote may be anywhere by now', async () => {
    const last = await lastSync();
    vmm.kill('SIGKILL');
    await once(vmm, 'exit');
    await last.run();
    expect(calls.map(([call]) => call)).toContain('sync');
  });
});
