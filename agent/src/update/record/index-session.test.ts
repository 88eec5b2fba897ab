// SPDX-License-Identifier: Apache-2.0
/** What the index has room for is found out while machines still run. */
import { type Descriptor, type Native, native as realNative } from '@luo-console/native';
import { LiveUpdateDouble } from '@luo-console/native/double';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { sealedMemfd } from '../../adoption/adoptions.fixture.ts';
import type { SavedMachine } from '../../adoption/saved-machine.ts';
import { Unended } from '../../host/unended.ts';
import { programToken } from '../../liveupdate/tokens.ts';
import { mostPieces } from '../../qemu/streams.ts';
import { type IndexRecord, newIndexRecord } from './index-record.ts';
import { OutgoingIndex } from './index-session.ts';
import { madeUpUpdate } from './made-up-update.fixture.ts';

let double: LiveUpdateDouble;
beforeEach(() => {
  double = new LiveUpdateDouble({ path: '/dev/made-up' });
});
afterEach(() => double[Symbol.dispose]());

/** A machine before it is stopped. */
const machine = (words: readonly string[], pieces: number): SavedMachine => ({
  ...{ name: 'one', session: 'machine:one', definition: null, way: 'cpr', priority: 0, pid: 100 },
  command: { program: '/usr/bin/qemu', words: [...words], directory: '/', uid: 0, gid: 0 },
  ...{ monitor: '/run/x', ran: true, capabilities: {}, state: null, memory: [], facts: null },
  pieces: Array.from({ length: pieces }, () => ({
    bytes: 1,
    files: [{ session: 'machine:one', token: '0x0' }],
  })),
  ...{ brownoutUs: null, suspendedAtUs: null, savedAtUs: null },
});

function recordOf(machines: readonly SavedMachine[]): IndexRecord {
  const content = { update: madeUpUpdate, sessions: [], jumpedAtUs: null, clock: null, facts: null };
  return newIndexRecord({ ...content, machines: [...machines] });
}

async function indexFor(
  machines: readonly SavedMachine[],
  preserveFd: Native['liveUpdate']['preserveFd'] = double.preserveFd.bind(double),
): Promise<OutgoingIndex> {
  const native = { ...realNative, liveUpdate: Object.assign(Object.create(double), { preserveFd }) };
  const createSession = async (name: string) => {
    using device = double.openDevice('/dev/made-up');
    return double.createSession(device, name);
  };
  const unended = new Unended(() => {});
  const context = { native, unended, sessions: { has: () => false }, device: { createSession } };
  return await OutgoingIndex.create(
    context,
    recordOf([]),
    machines.map(({ command }) => command),
  );
}

it('a record that is found to fit can be written with the largest numbers', async () => {
  const index = await indexFor([machine([], 0)]);
  try {
    // The longest that fits: one piece more does not.
    let pieces = 0;
    for (let step = 4096; step >= 1; step /= 2) {
      try {
        index.needRoom(recordOf([machine([], pieces + step)]));
        pieces += step;
      } catch {
        // It is between.
      }
    }
    expect(pieces).toBeGreaterThan(1000);
    const most = Number.MAX_SAFE_INTEGER;
    const saved: SavedMachine = {
      ...machine([], pieces),
      ...{ brownoutUs: most, suspendedAtUs: most, savedAtUs: most },
      state: { token: '0xffffffffffffffff', cprBytes: most, mainBytes: most },
    };
    const record = recordOf([saved]);
    // What is said of the update by then.
    const said = { ...record.update, reason: 'x'.repeat(4000) };
    expect(() => index.write({ ...record, jumpedAtUs: most, update: said })).not.toThrow();
  } finally {
    await index.close();
  }
});

it('has room for the largest records that machines can have', async () => {
  const words = Array.from({ length: 20 }, () => 'x'.repeat(60_000));
  const name = 'm'.repeat(63);
  const piece = (files: number) => ({
    bytes: 4 * 1024 * 1024,
    files: Array.from({ length: files }, () => ({ session: name, token: '0xffffffffffffffff' })),
  });
  const pieces = [
    piece(253),
    piece(253),
    piece(6),
    ...Array.from({ length: mostPieces - 3 }, () => piece(0)),
  ];
  const largest = [1, 2, 3].map(() => ({ ...machine(words, 0), session: name, pieces }));
  const index = await indexFor(largest);
  try {
    expect(() => index.needRoom(recordOf(largest))).not.toThrow();
  } finally {
    await index.close();
  }
});

it('a record that has no room is refused, and says how much it takes', async () => {
  const words = Array.from({ length: 4 }, () => 'x'.repeat(60_000));
  const index = await indexFor([machine([], 0)]);
  try {
    expect(() => index.needRoom(recordOf([machine(words, 0), machine(words, 0)]))).toThrow(
      /takes up to 48\d{4} bytes, and the index has room for \d{6}$/,
    );
  } finally {
    await index.close();
  }
});

it('a file that would come back sealed is refused, as a VMM may hand one over', async () => {
  const index = await indexFor([]);
  using sealed = sealedMemfd({ native: realNative }, 'handed over');
  using plain = realNative.memory.memfdCreate('plain');
  try {
    await expect(index.preserve(sealed)).rejects.toThrow(/F_SEAL_EXEC/);
    await expect(index.preserve(plain)).resolves.toMatchObject({ session: index.name });
  } finally {
    await index.close();
  }
});

it('the resume program is written where it has its room, and one that is too long is refused', async () => {
  const preserved: Descriptor[] = [];
  const index = await indexFor([], async (session, file, token) => {
    if (token === programToken) preserved.push(realNative.descriptors.duplicate(file));
    await double.preserveFd(session, file, token);
  });
  try {
    await index.makeProgramRoom(8);
    const [file] = preserved;
    if (file === undefined) throw new Error('it is preserved');
    expect([...realNative.memory.read(file, 0n, 9)]).toEqual(Array.from({ length: 8 }, () => 0));
    await index.writeProgram(Buffer.from('a longer', 'latin1'));
    await index.writeProgram(Buffer.from('short', 'latin1'));
    expect(Buffer.from(realNative.memory.read(file, 0n, 8)).toString('latin1')).toBe('shortger');
    await expect(index.writeProgram(Buffer.alloc(9))).rejects.toThrow(
      'the resume program has 9 bytes, and there is room for 8',
    );
    expect(preserved).toHaveLength(1);
  } finally {
    for (const each of preserved) each.close();
    await index.close();
  }
});
