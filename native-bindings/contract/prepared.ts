// SPDX-License-Identifier: Apache-2.0
/**
 * What is preserved before the kexec, so that `across.ts` can look for it afterwards.
 *
 * Everything follows from this table; nothing has to be carried over by other means. Both sides read it.
 */
import { closeSync, openSync, readSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Descriptor } from '../src/face.ts';
import { filledMemfd, type Harness, newSession, patternBytes } from './harness.ts';

const F_SEAL_SHRINK = 0x2;
const F_SEAL_GROW = 0x4;

interface PreparedFile {
  readonly token: bigint;
  readonly seed: string;
  /** Bytes. */
  readonly size: number;
  /** Position of the open file, bytes. */
  readonly position?: number;
  readonly seals?: number;
}

/** The files of session `MAIN`, in the order they are preserved. */
export const FILES: readonly PreparedFile[] = [
  { token: 0n, seed: 'large', size: 3 << 20, position: 4097 },
  { token: 2n ** 64n - 1n, seed: 'sealed', size: 8192, seals: F_SEAL_SHRINK | F_SEAL_GROW },
  { token: 2n ** 63n, seed: 'odd', size: 12345 },
  { token: 7n, seed: 'empty', size: 0 },
];

export const MAIN = 'across';
export const SPARSE_TOKEN = 9n;
export const SPARSE_SIZE = 1 << 20;
export const SPARSE_OFFSET = 600_000;
export const UNLINKED_TOKEN = 11n;
export const CHANGED_TOKEN = 13n;
export const CHANGED_OFFSET = 5000;
export const INHERITED_TOKEN = 15n;

/** A session whose files are retrieved in an order of their own. */
export const SHUFFLED = 'across-shuffled';
export const SHUFFLED_COUNT = 20;

/** A session that is closed after the kexec without anything taken from it. */
export const ABANDONED = 'across-abandoned';
/** A session without files. */
export const HOLLOW = 'across-hollow';
/** A session that is closed before the kexec. */
export const WITHDRAWN = 'across-withdrawn';
/** More than enough for a name of 63 bytes. */
const LONG = `across-${'n'.repeat(63)}`;

/** `LONG` behind the prefix, cut to 63 bytes. */
export function longName(harness: Harness): string {
  return LONG.slice(0, 63 - Buffer.byteLength(harness.prefix));
}

async function preserveTable(harness: Harness, session: Descriptor): Promise<void> {
  const { memory } = harness.native;
  for (const { token, seed, size, position = 0, seals = 0 } of FILES) {
    using file = filledMemfd(harness, seed, size);
    if (seals !== 0) memory.addSeals(file, seals);
    await harness.liveUpdate.preserveFd(session, file, token);
    // After preserve: the position that counts is the one at the kexec.
    if (position > 0) readSync(file.fd, Buffer.alloc(position), 0, position, null);
  }
}

async function preserveSpecial(harness: Harness, session: Descriptor): Promise<void> {
  const { liveUpdate, native } = harness;
  using sparse = native.memory.memfdCreate('sparse');
  native.memory.truncate(sparse, BigInt(SPARSE_SIZE));
  native.memory.write(sparse, BigInt(SPARSE_OFFSET), patternBytes('sparse', 100));
  await liveUpdate.preserveFd(session, sparse, SPARSE_TOKEN);

  const path = join(harness.tmpfsDirectory, `luo-across-${process.pid}`);
  const unlinked = openSync(path, 'wx+');
  unlinkSync(path);
  native.memory.write(unlinked, 0n, patternBytes('unlinked', 5000));
  await liveUpdate.preserveFd(session, unlinked, UNLINKED_TOKEN);
  closeSync(unlinked);

  using changed = filledMemfd(harness, 'before-change');
  await liveUpdate.preserveFd(session, changed, CHANGED_TOKEN);
  native.memory.write(changed, BigInt(CHANGED_OFFSET), patternBytes('change', 100));

  using inherited = filledMemfd(harness, 'inherited');
  native.descriptors.setCloseOnExec(inherited, false);
  await liveUpdate.preserveFd(session, inherited, INHERITED_TOKEN);
}

/** Seed of the file under `token` in a session of several like files. */
export function seedOf(session: string, token: bigint): string {
  return `${session}-${token}`;
}

async function preserveSeries(harness: Harness, name: string, count: number): Promise<Descriptor> {
  const session = await newSession(harness, name);
  for (let token = 0n; token < count; token++) {
    using file = filledMemfd(harness, seedOf(name, token));
    await harness.liveUpdate.preserveFd(session, file, token);
  }
  return session;
}

/**
 * Creates and fills every session.
 *
 * @returns the session descriptors; they must stay open until the kexec
 */
export async function prepare(harness: Harness): Promise<readonly Descriptor[]> {
  const main = await newSession(harness, MAIN);
  await preserveTable(harness, main);
  await preserveSpecial(harness, main);
  const withdrawn = await preserveSeries(harness, WITHDRAWN, 1);
  withdrawn.close();
  return [
    main,
    await preserveSeries(harness, SHUFFLED, SHUFFLED_COUNT),
    await preserveSeries(harness, ABANDONED, 2),
    await newSession(harness, HOLLOW),
    await newSession(harness, longName(harness)),
  ];
}
