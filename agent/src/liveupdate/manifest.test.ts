// SPDX-License-Identifier: Apache-2.0
/** The manifest of a session: reading what was written, and refusing what was damaged. */
import { native } from '@luo-console/native';
import { describe, expect, it } from 'vitest';
import { Manifest } from './manifest.ts';
import type { ManifestEntry } from './manifest-format.ts';
import { formatToken, manifestToken } from './tokens.ts';

const head = {
  name: 's',
  createdAtUs: 1,
  createdBy: 'root',
  carried: 0,
  state: 'open' as const,
  handedOut: false,
  machine: null,
};

function entry(number: number): ManifestEntry {
  return {
    token: formatToken(BigInt(number)),
    order: number,
    state: 'preserved',
    kind: 'memfd',
    label: `label of ${number} `.repeat(6),
    source: `descriptor ${number} of qemu-system-x86 (pid 1234): /memfd:memory-backend-memfd (deleted)`,
    size: 2 ** 40,
    inode: 123_456,
    preservedAtUs: 1_795_000_000_000_000,
    digest: null,
    digestAtUs: null,
    verdict: 'unchecked',
  };
}

/** The parts as another process would get them. */
function copies(manifest: Manifest) {
  return manifest.parts.map(({ file }) => native.descriptors.duplicate(file));
}

describe('a manifest', () => {
  it('grows by parts under the next reserved tokens and reads back in order', async () => {
    const kept: bigint[] = [];
    const keep = async (token: bigint): Promise<void> => void kept.push(token);
    const manifest = await Manifest.create(native.memory, head, keep);
    for (let number = 0; number < 300; number += 1) await manifest.add([entry(number)], keep);
    expect(kept.length).toBeGreaterThan(2);
    expect(kept).toEqual(kept.map((_, index) => manifestToken + BigInt(index)));

    const read = Manifest.read(native.memory, copies(manifest));
    expect(read.head).toEqual(head);
    expect(read.entries().map(({ order }) => order)).toEqual(
      Array.from({ length: 300 }, (_, order) => order),
    );
    read.close();
    manifest.close();
  });

  it('has room for the digest of every entry, however full it is', async () => {
    const keep = async (): Promise<void> => {};
    const manifest = await Manifest.create(native.memory, head, keep);
    for (let number = 0; number < 200; number += 1) await manifest.add([entry(number)], keep);
    const digested = {
      digest: 'f'.repeat(64),
      digestAtUs: 1_795_000_000_000_000,
      verdict: 'unchecked' as const,
    };
    manifest.updateAll(() => ({ ...digested, state: 'intended' }));
    manifest.updateHead({ carried: 1_000_000, state: 'rebuilding' });
    const read = Manifest.read(native.memory, copies(manifest));
    expect(read.entries().every(({ digest }) => digest === digested.digest)).toBe(true);
    read.close();
    manifest.close();
  });

  it('refuses contents that do not describe a session, and says why', async () => {
    const manifest = await Manifest.create(native.memory, head, async () => {});
    manifest.updateHead({ carried: -1 });
    const parts = copies(manifest);
    expect(() => Manifest.read(native.memory, parts)).toThrow(/value|carried/);
    for (const part of parts) part.close();
    manifest.close();

    using empty = native.memory.memfdCreate('empty');
    native.memory.truncate(empty, 65_536n);
    expect(() => Manifest.read(native.memory, [empty])).toThrow('neither of its slots is whole');
  });
});
