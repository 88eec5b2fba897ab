// SPDX-License-Identifier: Apache-2.0
/** Finding descriptors to preserve among the processes of the machine the test runs on. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { commandOf, holdersOf } from '../src/host/open-by.ts';
import { describeFile } from '../src/liveupdate/preservable.ts';
import { listCandidates } from '../src/machines/candidates.ts';
import { memfdWith } from './scenario.ts';

let child: ChildProcess | null = null;

afterEach(async () => {
  if (child?.exitCode === null && child.kill()) await once(child, 'exit');
  child = null;
});

/** A process that does nothing but hold a memfd as its descriptor 3. */
async function holdInChild(fd: number): Promise<number> {
  child = spawn('sleep', ['600'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
  await once(child, 'spawn');
  if (child.pid === undefined) throw new Error('the child did not start');
  return child.pid;
}

describe('candidates', () => {
  it('are the memfds of other processes, with where they are preserved already', async () => {
    using file = memfdWith('guest memory');
    const pid = await holdInChild(file.fd);
    const { inode, device } = await describeFile(`/proc/self/fd/${file.fd}`);
    const processes = await listCandidates({
      proc: '/proc',
      describe: describeFile,
      whereIs: ({ dev, ino }) =>
        ino === BigInt(inode) && dev === BigInt(device) ? { session: 's', token: '0x7' } : null,
      commandOf: (each) => commandOf('/proc', each),
      userOf: async (uid) => `user ${uid}`,
    });
    const found = processes.find((process) => process.pid === pid);
    expect(found).toMatchObject({ user: `user ${process.getuid?.()}`, command: 'sleep' });
    expect(found?.descriptors).toEqual([
      {
        fd: 3,
        kind: 'memfd',
        name: '/memfd:guest memory (deleted)',
        size: 12,
        inode,
        session: 's',
        token: '0x7',
      },
    ]);
    expect(processes.some((process) => process.pid === globalThis.process.pid)).toBe(false);
  });
});

describe('the holder of a file', () => {
  it('is found by its open descriptors, and nobody is found for a file that is not open', async () => {
    using file = memfdWith('held');
    const pid = await holdInChild(file.fd);
    expect(await holdersOf('/proc', '/memfd:held (deleted)')).toEqual([{ pid, command: 'sleep' }]);
    expect(await holdersOf('/proc', '/nonexistent')).toEqual([]);
  });
});
