// SPDX-License-Identifier: Apache-2.0
/**
 * The kernel group, as far as it may be asked on the machine the tests run on: nothing here loads an image, and
 * nothing jumps. The contract's `update` phase does both inside a host of the lab.
 */
import { execFileSync } from 'node:child_process';
import { constants, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { descriptors, kernel, memory, sockets } from '../src/index.ts';
import { failureOf, rejectionOf } from './failures.ts';

describe('kexecFileLoad', () => {
  it('is EBADF for a kernel or an initrd that is not open, and says which', async () => {
    const closed = memory.memfdCreate('x');
    closed.close();
    expect(await rejectionOf(kernel.kexecFileLoad(closed, null, 'quiet'))).toEqual({
      code: 'EBADF',
      errno: 9,
      syscall: 'kexec_file_load',
      argument: 'kernel=-1',
    });
    using image = memory.memfdCreate('image');
    expect(await rejectionOf(kernel.kexecFileLoad(image, closed, 'quiet'))).toMatchObject({
      code: 'EBADF',
      argument: 'initrd=-1',
    });
  });
});

describe('kexecLoaded', () => {
  const path = '/sys/kernel/kexec_loaded';

  it.runIf(existsSync(path))('says what the kernel says', () => {
    expect(kernel.kexecLoaded()).toBe(readFileSync(path, 'utf8').trim() === '1');
  });

  it.skipIf(existsSync(path))('is ENOENT where the kernel has no kexec', () => {
    expect(failureOf(() => kernel.kexecLoaded())).toEqual({
      code: 'ENOENT',
      errno: 2,
      syscall: 'open',
      argument: `path="${path}"`,
    });
  });
});

describe('sync', () => {
  it('resolves', async () => {
    expect(await kernel.sync()).toBeUndefined();
  });
});

describe('syncFileSystem and syncFile', () => {
  it('resolve, and take the descriptor over', async () => {
    for (const call of [kernel.syncFileSystem, kernel.syncFile]) {
      const directory = descriptors.takeOwnership(openSync(tmpdir(), 'r'));
      expect(await call(directory)).toBeUndefined();
      expect(directory.closed).toBe(true);
    }
  });

  it('say what the kernel says, and of which descriptor', async () => {
    const [socket, other] = sockets.socketPair();
    other.close();
    const { fd } = socket;
    expect(await rejectionOf(kernel.syncFile(socket))).toEqual({
      ...{ code: 'EINVAL', errno: 22, syscall: 'fsync', argument: `file=${fd}` },
    });
    expect(() => descriptors.takeOwnership(fd)).toThrow('EBADF');
  });

  it('are EBADF for a descriptor that is closed', async () => {
    const closed = memory.memfdCreate('x');
    closed.close();
    expect(await rejectionOf(kernel.syncFileSystem(closed))).toEqual({
      ...{ code: 'EBADF', errno: 9, syscall: 'syncfs', argument: 'file=-1' },
    });
  });

  it('need none of the threads on which other calls wait', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'luo-sync-'));
    const pipe = join(directory, 'pipe');
    execFileSync('mkfifo', [pipe]);
    // More than libuv has threads: each waits until somebody opens the other end.
    const held = Array.from({ length: 32 }, () => open(pipe, 'r'));
    try {
      await kernel.syncFileSystem(descriptors.takeOwnership(openSync(directory, 'r')));
      await kernel.sync();
    } finally {
      using other = descriptors.takeOwnership(openSync(pipe, constants.O_RDWR));
      for (const handle of await Promise.all(held)) await handle.close();
      other.close();
      rmSync(directory, { recursive: true });
    }
  });
});

describe('clock', () => {
  it('realtime is the time of day', () => {
    const before = BigInt(Date.now()) * 1_000_000n;
    const now = kernel.clock('realtime');
    const after = BigInt(Date.now() + 1) * 1_000_000n;
    expect(now).toBeGreaterThanOrEqual(before);
    expect(now).toBeLessThanOrEqual(after);
  });

  it('monotonic is the clock Node’s hrtime reads', () => {
    const before = process.hrtime.bigint();
    const now = kernel.clock('monotonic');
    expect(now).toBeGreaterThanOrEqual(before);
    expect(now).toBeLessThanOrEqual(process.hrtime.bigint());
  });

  it('boottime counts suspension too, so it is never behind monotonic', () => {
    const monotonic = kernel.clock('monotonic');
    expect(kernel.clock('boottime')).toBeGreaterThanOrEqual(monotonic);
  });
});

describe('counter', () => {
  it('goes on with time', () => {
    const before = kernel.counter();
    const until = kernel.clock('monotonic') + 2_000_000n;
    while (kernel.clock('monotonic') < until);
    const after = kernel.counter();
    if (process.arch !== 'x64') expect(before).toBeNull();
    // Slower than one tick in 10 ns no x86-64 counts.
    else expect((after ?? 0n) - (before ?? 0n)).toBeGreaterThan(200_000n);
  });
});
