// SPDX-License-Identifier: Apache-2.0
/** Collapsing memory into huge pages and counting them, on the kernel that the tests run on. */
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Descriptor, memory } from '../src/index.ts';
import { rejectionOf } from './failures.ts';

const huge = 2 << 20;

/** A memfd of as many huge pages, with `data` in the middle of each of `filled`. */
function memfd(pages: number, filled: readonly number[], data: Uint8Array): Descriptor {
  const file = memory.memfdCreate('guest');
  memory.truncate(file, BigInt(pages * huge));
  for (const page of filled) memory.write(file, BigInt(page * huge + 5000), data);
  return file;
}

describe('collapse', () => {
  it('puts small pages and holes into huge pages, with the same contents', async () => {
    const data = randomBytes(100_000);
    using file = memfd(4, [0, 2], data);
    const before = await memory.sha256(file);
    expect(await memory.collapse(file, 0n, 4 * huge)).toBe(4 * huge);
    expect(await memory.hugeBytes(file)).toBe(BigInt(4 * huge));
    expect(memory.fileFacts(file)).toMatchObject({ size: BigInt(4 * huge), allocated: BigInt(4 * huge) });
    expect(await memory.sha256(file)).toBe(before);
    expect(memory.read(file, BigInt(2 * huge + 5000), data.length)).toEqual(data);
  });

  it('does that piece by piece, and again without harm', async () => {
    using file = memfd(4, [1], randomBytes(10));
    expect(await memory.collapse(file, BigInt(huge), 2 * huge)).toBe(2 * huge);
    expect(await memory.hugeBytes(file)).toBe(BigInt(2 * huge));
    for (let round = 0; round < 2; round++) {
      expect(await memory.collapse(file, 0n, 4 * huge)).toBe(4 * huge);
      expect(await memory.hugeBytes(file)).toBe(BigInt(4 * huge));
    }
  });

  it('leaves out what is not a whole huge page within the file', async () => {
    using file = memfd(1, [], Buffer.of());
    memory.write(file, BigInt(huge), randomBytes(4096));
    expect(await memory.collapse(file, 0n, 8 * huge)).toBe(huge);
    // No page beyond the one that was written.
    expect(memory.fileFacts(file).allocated).toBe(BigInt(huge + 4096));
    expect(await memory.collapse(file, BigInt(huge), huge)).toBe(0);
    expect(await memory.collapse(file, BigInt(1024 * huge), huge)).toBe(0);
  });

  it('lives through a file that is cut shorter meanwhile', async () => {
    for (let round = 0; round < 20; round++) {
      using file = memfd(16, [0, 7, 15], randomBytes(4096));
      const collapsing = memory.collapse(file, 0n, 16 * huge).catch(({ code }: { code: string }) => code);
      memory.truncate(file, BigInt(huge));
      // As it happens: before the cut, in the middle of it, or after it.
      const left = await collapsing;
      if (typeof left === 'string') expect(['EFAULT', 'EINVAL', 'EAGAIN']).toContain(left);
      expect(await memory.hugeBytes(file)).toBeLessThanOrEqual(BigInt(huge));
    }
  });

  it('never needs to write: a descriptor for reading is enough', async () => {
    using file = memfd(2, [0], randomBytes(10));
    const readOnly = openSync(`/proc/self/fd/${file.fd}`, 'r');
    expect(await memory.collapse(readOnly, 0n, 2 * huge)).toBe(2 * huge);
    closeSync(readOnly);
  });

  it('leaves no mapping behind', async () => {
    using file = memfd(2, [0], randomBytes(10));
    await memory.collapse(file, 0n, 2 * huge);
    await memory.hugeBytes(file);
    expect(readFileSync('/proc/self/maps', 'utf8')).not.toContain('/memfd:guest');
  });
});

describe('hugeBytes', () => {
  it('is 0 of small pages and of a file without a whole huge page', async () => {
    using small = memory.memfdCreate('small');
    memory.write(small, 0n, randomBytes(3 * huge));
    expect(await memory.hugeBytes(small)).toBe(0n);
    memory.truncate(small, 100n);
    expect(await memory.hugeBytes(small)).toBe(0n);
  });
});

describe.each([
  ['collapse', (file: number) => memory.collapse(file, 0n, huge)],
  ['hugeBytes', (file: number) => memory.hugeBytes(file)],
])('%s', (_name, call) => {
  it('is ENODEV of what is no regular file', async () => {
    const device = openSync('/dev/null', 'r');
    expect(await rejectionOf(call(device))).toMatchObject({ code: 'ENODEV', argument: `file=${device}` });
    closeSync(device);
  });

  it('is EACCES of a file that is not readable', async () => {
    using file = memfd(1, [], Buffer.of());
    const writeOnly = openSync(`/proc/self/fd/${file.fd}`, 'a');
    expect(await rejectionOf(call(writeOnly))).toMatchObject({ code: 'EACCES', syscall: 'mmap' });
    closeSync(writeOnly);
  });

  it('is EBADF of a closed descriptor', async () => {
    expect(await rejectionOf(call(999_999))).toMatchObject({ code: 'EBADF', argument: 'file=999999' });
  });
});
