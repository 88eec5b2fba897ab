// SPDX-License-Identifier: Apache-2.0
/**
 * What is preserved before the kexec, so that `across.ts` can look for it afterwards.
 *
 * Everything follows from this table; nothing has to be carried over by other means. Both sides read it.
 */
import assert from 'node:assert/strict';
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
export const preparedFiles: readonly PreparedFile[] = [
  { token: 0n, seed: 'large', size: 3 << 20, position: 4097 },
  { token: 2n ** 64n - 1n, seed: 'sealed', size: 8192, seals: F_SEAL_SHRINK | F_SEAL_GROW },
  { token: 2n ** 63n, seed: 'odd', size: 12345 },
  { token: 7n, seed: 'empty', size: 0 },
];

export const mainSession = 'across';
export const sparseToken = 9n;
export const sparseSize = 1 << 20;
export const sparseOffset = 600_000;
export const unlinkedToken = 11n;
export const changedToken = 13n;
export const changedOffset = 5000;
export const inheritedToken = 15n;
export const collapsedToken = 17n;
export const collapsedSize = 4 << 20;

/** A session whose files are retrieved in an order of their own. */
export const shuffledSession = 'across-shuffled';
export const shuffledCount = 20;

/** A session that is closed after the kexec without anything taken from it. */
export const abandonedSession = 'across-abandoned';
/** A session without files. */
export const hollowSession = 'across-hollow';
/** A session that is closed before the kexec. */
export const withdrawnSession = 'across-withdrawn';
/** More than enough for a name of 63 bytes. */
const tooLong = `across-${'n'.repeat(63)}`;

/** `tooLong` behind the prefix, cut to 63 bytes. */
export function longName(harness: Harness): string {
  return tooLong.slice(0, 63 - Buffer.byteLength(harness.prefix));
}

async function preserveTable(harness: Harness, session: Descriptor): Promise<void> {
  const { memory } = harness.native;
  for (const { token, seed, size, position = 0, seals = 0 } of preparedFiles) {
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
  native.memory.truncate(sparse, BigInt(sparseSize));
  native.memory.write(sparse, BigInt(sparseOffset), patternBytes('sparse', 100));
  await liveUpdate.preserveFd(session, sparse, sparseToken);

  const path = join(harness.tmpfsDirectory, `luo-across-${process.pid}`);
  const unlinked = openSync(path, 'wx+');
  unlinkSync(path);
  native.memory.write(unlinked, 0n, patternBytes('unlinked', 5000));
  await liveUpdate.preserveFd(session, unlinked, unlinkedToken);
  closeSync(unlinked);

  using changed = filledMemfd(harness, 'before-change');
  await liveUpdate.preserveFd(session, changed, changedToken);
  native.memory.write(changed, BigInt(changedOffset), patternBytes('change', 100));

  using inherited = filledMemfd(harness, 'inherited');
  native.descriptors.setCloseOnExec(inherited, false);
  await liveUpdate.preserveFd(session, inherited, inheritedToken);

  using collapsed = filledMemfd(harness, 'collapsed', collapsedSize);
  assert.equal(await native.memory.collapse(collapsed, 0n, collapsedSize), collapsedSize);
  await liveUpdate.preserveFd(session, collapsed, collapsedToken);
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
  const main = await newSession(harness, mainSession);
  await preserveTable(harness, main);
  await preserveSpecial(harness, main);
  const withdrawn = await preserveSeries(harness, withdrawnSession, 1);
  withdrawn.close();
  return [
    main,
    await preserveSeries(harness, shuffledSession, shuffledCount),
    await preserveSeries(harness, abandonedSession, 2),
    await newSession(harness, hollowSession),
    await newSession(harness, longName(harness)),
  ];
}
