// SPDX-License-Identifier: Apache-2.0
/**
 * The kernel group, as far as it may be asked on the machine the tests run on: nothing here loads an image, and
 * nothing jumps. The contract's `update` phase does both inside a host of the lab.
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmdirSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { descriptors, kernel, memory, sockets } from '../src/index.ts';
import { busyPool } from './busy-pool.ts';
import { failureOf, rejectionOf } from './failures.ts';

const canLoop = process.getuid?.() === 0 && existsSync('/dev/loop-control');
const diskBytes = 1 << 20;

/** A block device on which nothing can be written: its blocks are of a file system that is full. */
function fullDisk(): Disposable & { readonly device: string } {
  const directory = mkdtempSync(join(tmpdir(), 'luo-full-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskBytes / 2}`, 'luo-full', directory]);
  const blocks = join(directory, 'blocks');
  writeFileSync(blocks, '');
  truncateSync(blocks, diskBytes);
  const device = execFileSync('losetup', ['--find', '--show', blocks], { encoding: 'utf8' }).trim();
  return {
    device,
    [Symbol.dispose]() {
      execFileSync('losetup', ['--detach', device]);
      execFileSync('umount', ['--lazy', directory]);
      rmdirSync(directory);
    },
  };
}

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

describe('syncFileSystem and syncBlockDevice', () => {
  it('resolve, and take the descriptor over', async () => {
    for (const call of [kernel.syncFileSystem, kernel.syncBlockDevice]) {
      const directory = descriptors.takeOwnership(openSync(tmpdir(), 'r'));
      expect(await call(directory)).toBeUndefined();
      expect(directory.closed).toBe(true);
    }
  });

  it('say what the kernel says, and of which descriptor', async () => {
    const [socket, other] = sockets.socketPair();
    other.close();
    const { fd } = socket;
    expect(await rejectionOf(kernel.syncBlockDevice(socket))).toEqual({
      ...{ code: 'ENXIO', errno: 6, syscall: 'open', argument: `file=${fd}` },
    });
    expect(socket.closed).toBe(true);
  });

  it('are EBADF for a descriptor that is closed', async () => {
    const closed = memory.memfdCreate('x');
    closed.close();
    expect(await rejectionOf(kernel.syncFileSystem(closed))).toEqual({
      ...{ code: 'EBADF', errno: 9, syscall: 'syncfs', argument: 'file=-1' },
    });
  });

  it('need none of the threads on which other calls wait', async () => {
    await using _waiting = busyPool();
    await kernel.syncFileSystem(descriptors.takeOwnership(openSync(tmpdir(), 'r')));
    await kernel.sync();
  });

  it.runIf(canLoop)('of a block device leave a write error to whoever else has it open', async () => {
    using disk = fullDisk();
    // QEMU's descriptor, and the copy that the agent has of it.
    const theirs = openSync(disk.device, constants.O_RDWR);
    try {
      writeSync(theirs, Buffer.alloc(diskBytes, 1));
      expect(await rejectionOf(kernel.syncBlockDevice(descriptors.duplicate(theirs)))).toMatchObject({
        syscall: 'fsync',
        code: expect.stringMatching(/^(?:EIO|ENOSPC)$/),
      });
      expect(() => fsyncSync(theirs)).toThrow(/EIO|ENOSPC/);
    } finally {
      closeSync(theirs);
    }
  });
});

describe('syncBlockDevice', () => {
  it.runIf(canLoop)('is through the descriptor itself where opening it is not allowed', async () => {
    using disk = fullDisk();
    const directory = mkdtempSync(join(tmpdir(), 'luo-nodev-'));
    execFileSync('mount', ['-t', 'tmpfs', 'luo-nodev', directory]);
    const node = join(directory, 'node');
    execFileSync('cp', ['--archive', disk.device, node]);
    using file = descriptors.takeOwnership(openSync(node, 'r'));
    execFileSync('mount', ['-o', 'remount,nodev', directory]);
    expect(() => openSync(node, 'r')).toThrow('EACCES');
    expect(await kernel.syncBlockDevice(descriptors.duplicate(file))).toBeUndefined();
    file.close();
    execFileSync('umount', ['--lazy', directory]);
    rmdirSync(directory);
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
