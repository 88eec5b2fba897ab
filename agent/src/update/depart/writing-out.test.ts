// SPDX-License-Identifier: Apache-2.0
/** Writing out while machines run, where something does not answer: of a real process with a file open. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '@luo-console/native';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { realHostPaths } from '../../host/paths.ts';
import { takeFromProcess } from '../../host/process-descriptor.ts';
import { type PatientLimits, type WritingOut, writeOut, writeOutAhead } from './writing-out.ts';

const limits: PatientLimits = { placeMs: 5, othersMs: 5, againMs: 5 };
const never = (): Promise<void> => new Promise(() => {});
const atOnce = async (): Promise<void> => {};

let directory: string;
let vmm: ChildProcess;
let left: [pid: number, problem: string][];
let log: string[];
let abort: AbortController;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'luo-writing-out-'));
  const disk = openSync(join(directory, 'disk'), 'w');
  vmm = spawn('sleep', ['infinity'], { stdio: ['ignore', 'ignore', 'ignore', disk] });
  closeSync(disk);
  [left, log, abort] = [[], [], new AbortController()];
});
afterEach(async () => {
  if (vmm.kill('SIGKILL')) await once(vmm, 'exit');
  rmSync(directory, { recursive: true });
});

/** An update with one machine. What syncing everything does, what syncing its disk does, and the agent's own places. */
function update(sync: () => Promise<void>, disk: () => Promise<void>, own = atOnce): WritingOut {
  const onDisk = native.memory.fileFacts.bind(native.memory);
  using file = native.descriptors.takeOwnership(openSync(directory, 'r'));
  const { dev } = onDisk(file);
  const machine = { pid: vmm.pid ?? 0, command: { words: [] } };
  // On no disk.
  const other = { pid: 2 ** 30, command: { words: [] } };
  const coming = [{ machine }, { machine: other }];
  return {
    context: {
      native: {
        ...native,
        kernel: {
          ...native.kernel,
          sync,
          syncFileSystem: async (given) => {
            const isDisk = onDisk(given).dev === dev;
            given.close();
            await (isDisk ? disk() : own());
          },
        },
      },
      paths: realHostPaths,
      stateDirectory: '/dev/shm',
      take: (pid, fd) => takeFromProcess(native, pid, fd),
      log: (level, message) => void log.push(`${level} ${message}`),
    },
    facts: { machines: [machine], sessions: [] },
    machines: {
      coming,
      leave: async (pid, problem) => {
        left.push([pid, problem]);
        coming.splice(0, coming.length, ...coming.filter((each) => each.machine.pid !== pid));
      },
    },
    signal: abort.signal,
  };
}

it('leaves the machine whose place does not answer, and waits for nothing more because of it', async () => {
  const one = update(never, never);
  const lastSync = await writeOutAhead(one, limits);
  expect(left).toEqual([[vmm.pid, expect.stringMatching(/synced: it did not answer within 5 ms$/)]]);
  expect(log).toContain('warning what other programs have written last may not be on disk');
  // The place is not asked again once machines are stopped.
  expect(await writeOut(one, lastSync)).toBe(false);
  expect(left).toHaveLength(1);
});

it('waits for a place that no machine uses only for a while, and says so', async () => {
  const lastSync = await writeOutAhead(update(never, atOnce), limits);
  expect(left).toEqual([]);
  expect(log).toContain('warning what other programs have written last may not be on disk');
  expect(lastSync.ofEverything).toBe(false);
});

it('ends where such a place would have to be waited for once machines are stopped', async () => {
  const one = update(never, atOnce);
  const attended = { ...one, facts: { ...one.facts, sessions: [{ attended: true }] } };
  await expect(writeOutAhead(attended, limits)).rejects.toThrow(
    'not all file systems could be synced: it did not end within 5 ms',
  );
});

it('is aborted while everything is synced', async () => {
  const waiting = writeOutAhead(update(never, atOnce));
  abort.abort(new Error('the disk is gone'));
  await expect(waiting).rejects.toThrow('the disk is gone');
  expect(left).toEqual([]);
});

it('is aborted while a place does not answer, which costs no machine then', async () => {
  const waiting = writeOutAhead(update(atOnce, never));
  abort.abort(new Error('the disk is gone'));
  await expect(waiting).rejects.toThrow('the disk is gone');
  expect(left).toEqual([]);
});

it('says which machines are left once they are stopped', async () => {
  let answer = atOnce;
  const one = update(atOnce, () => answer());
  const lastSync = await writeOutAhead(one);
  answer = () => Promise.reject(new Error('EIO'));
  expect(await writeOut(one, lastSync)).toBe(true);
  expect(left).toEqual([[vmm.pid, expect.stringMatching(/could not be synced: EIO$/)]]);
});

it('tries a place once more while machines run: the error may be of a file that somebody wrote long ago', async () => {
  let times = 0;
  const once = async (): Promise<void> => {
    times += 1;
    if (times === 1) throw new Error('EIO');
  };
  await writeOutAhead(update(atOnce, once));
  expect(left).toEqual([]);
  expect(times).toBeGreaterThan(1);
});

it('ends where no machine would be left to be carried over', async () => {
  let answer = atOnce;
  const one = update(atOnce, () => answer());
  const lastSync = await writeOutAhead(one);
  const only = { ...one, machines: { ...one.machines, coming: one.machines.coming.slice(0, 1) } };
  const leave = async (): Promise<void> => void only.machines.coming.splice(0);
  answer = () => Promise.reject(new Error('EIO'));
  await expect(writeOut({ ...only, machines: { ...only.machines, leave } }, lastSync)).rejects.toThrow(
    /^no machine is left to be carried over: the file system .* could not be synced: EIO$/,
  );
});

it('is aborted while machines are stopped, which costs none', async () => {
  let answer = atOnce;
  const one = update(atOnce, () => answer());
  const lastSync = await writeOutAhead(one);
  answer = never;
  const writing = writeOut(one, lastSync);
  abort.abort(new Error('changed my mind'));
  await expect(writing).rejects.toThrow('changed my mind');
  expect(left).toEqual([]);
});

it('ends where the agent’s own place fails', async () => {
  const failing = update(atOnce, atOnce, () => Promise.reject(new Error('EIO')));
  await expect(writeOutAhead(failing)).rejects.toThrow(
    'the file system of /dev/shm could not be synced: EIO',
  );
});
