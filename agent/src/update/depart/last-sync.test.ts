// SPDX-License-Identifier: Apache-2.0
/** The last sync of what a process writes to: a real one, whose file lies on this machine's disk. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Descriptor, native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { realHostPaths } from '../../host/paths.ts';
import { takeFromProcess } from '../../host/process-descriptor.ts';
import { LastSync, type SyncContext } from './last-sync.ts';

let directory: string;
let vmm: ChildProcess;
/** What was called, with the device of the file that it was given. */
let calls: [call: string, device: bigint | null][];
/** What syncing a file system does. */
let answer: () => Promise<void>;
let context: { -readonly [Key in keyof SyncContext]: SyncContext[Key] };

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'luo-last-sync-'));
  const disk = openSync(join(directory, 'disk'), 'w');
  vmm = spawn('sleep', ['infinity'], { stdio: ['ignore', 'ignore', 'ignore', disk] });
  closeSync(disk);
  calls = [];
  answer = async () => {};
  const called = (call: string) => async (file: Descriptor) => {
    calls.push([call, native.memory.fileFacts(file).dev]);
    file.close();
    await answer();
  };
  const kernel = {
    ...native.kernel,
    sync: async () => void calls.push(['sync', null]),
    syncFileSystem: called('syncfs'),
    syncFile: called('fsync'),
  };
  context = {
    native: { ...native, kernel },
    paths: realHostPaths,
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
  it('is of the file systems that VMMs write to, each once and no other', async () => {
    await (await lastSync()).run();
    expect(calls).toEqual([['syncfs', deviceOf(directory)]]);
  });

  it('writes out for real', async () => {
    await (await LastSync.of({ ...context, native }, [vmm.pid ?? 0])).run();
  });

  it('ends where one does not answer, and names it', async () => {
    answer = () => new Promise(() => {});
    await expect((await lastSync()).run(5)).rejects.toThrow(
      /^the file system \S+ at \/\S* could not be synced: it did not answer within 5 ms$/,
    );
  });

  it('ends where one cannot be written, and says why', async () => {
    answer = async () => {
      throw new Error('EIO');
    };
    await expect((await lastSync()).run()).rejects.toThrow(/could not be synced: EIO/);
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
