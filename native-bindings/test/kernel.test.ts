// SPDX-License-Identifier: Apache-2.0
/**
 * The kernel group, as far as it may be asked on the machine the tests run on: nothing here loads an image, and
 * nothing jumps. The contract's `update` phase does both inside a host of the lab.
 */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { kernel, memory } from '../src/index.ts';
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
