// SPDX-License-Identifier: Apache-2.0
/** A file of two slots: a write that is cut short never harms the copy before. */
import { type Memory, native } from '@luo-console/native';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SlotFile } from './slots.ts';

const bytes = 4096;

function makeFile() {
  const file = native.memory.memfdCreate('slots');
  native.memory.truncate(file, BigInt(bytes));
  return file;
}

/** Writes only the first `budget` bytes of everything written, as a crash would. */
function tornMemory(budget: number): Memory {
  let left = budget;
  return {
    ...native.memory,
    fileFacts: (file) => native.memory.fileFacts(file),
    read: (file, offset, length) => native.memory.read(file, offset, length),
    write: (file, offset, data) => {
      const part = data.subarray(0, Math.max(0, left));
      left -= data.length;
      if (part.length > 0) native.memory.write(file, offset, part);
    },
  };
}

describe('a file of two slots', () => {
  it('gives back the newest content and keeps the size', () => {
    using file = makeFile();
    const slots = new SlotFile(native.memory, file);
    expect(slots.read()).toBeNull();
    for (const text of ['one', 'two', 'three']) {
      slots.write(Buffer.from(text));
      expect(new SlotFile(native.memory, file).read()?.toString()).toBe(text);
    }
    expect(native.memory.fileFacts(file).size).toBe(BigInt(bytes));
  });

  it('refuses what does not fit and leaves the old content', () => {
    using file = makeFile();
    const slots = new SlotFile(native.memory, file);
    slots.write(Buffer.alloc(slots.capacity, 1));
    expect(() => slots.write(Buffer.alloc(slots.capacity + 1))).toThrow(/at most \d+ fit/);
    expect(new SlotFile(native.memory, file).read()?.length).toBe(slots.capacity);
  });

  it('holds the old or the new content however far a write got', () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 200 }),
        fc.string({ maxLength: 200 }),
        fc.nat(400),
        (before, after, budget) => {
          using file = makeFile();
          new SlotFile(native.memory, file).write(Buffer.from(before));
          new SlotFile(tornMemory(budget), file).write(Buffer.from(after));
          expect([before, after]).toContain(new SlotFile(native.memory, file).read()?.toString());
        },
      ),
      { numRuns: 300 },
    );
  });

  it('recognises any single flipped bit in the newest slot', () => {
    fc.assert(
      fc.property(fc.nat(63 + 5), fc.nat(7), (at, bit) => {
        // Bytes 56 to 63 are not used.
        fc.pre(at < 56 || at >= 64);
        using file = makeFile();
        const slots = new SlotFile(native.memory, file);
        slots.write(Buffer.from('older'));
        slots.write(Buffer.from('newer'));
        const offset = BigInt(bytes / 2 + at);
        const [value] = native.memory.read(file, offset, 1);
        native.memory.write(file, offset, Buffer.from([(value ?? 0) ^ (1 << bit)]));
        expect(new SlotFile(native.memory, file).read()?.toString()).toBe('older');
      }),
      { numRuns: 300 },
    );
  });
});
