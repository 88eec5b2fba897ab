// SPDX-License-Identifier: Apache-2.0
/** Making the pages of a state's file: all of them, off the event loop, and no more once it is aborted. */
import { type Native, native } from '@luo-console/native';
import { expect, it } from 'vitest';
import { makePages } from './state-pages.ts';

const MiB = 1024 ** 2;

it('pages of a state are made to its end, in pieces between which the event loop has its turn', async () => {
  using file = native.memory.memfdCreate('state');
  let turns = 0;
  let going = true;
  const turn = (): void => {
    turns += 1;
    if (going) setImmediate(turn);
  };
  setImmediate(turn);
  const pieces: number[] = [];
  const allocate: Native['memory']['allocate'] = async (into, offset, bytes) => {
    const before = turns;
    await native.memory.allocate(into, offset, bytes);
    pieces.push(turns - before);
  };
  await makePages({ memory: { allocate } }, file, 130 * MiB + 5);
  going = false;
  const { size, allocated } = native.memory.fileFacts(file);
  expect(size).toBe(BigInt(130 * MiB + 5));
  expect(allocated).toBeGreaterThanOrEqual(size);
  expect(pieces.length).toBe(3);
  for (const each of pieces) expect(each).toBeGreaterThan(0);
});

it('no more pages are made once it is aborted', async () => {
  const abort = new AbortController();
  const offsets: bigint[] = [];
  const allocate: Native['memory']['allocate'] = async (_file, offset) => {
    offsets.push(offset);
    if (offsets.length === 2) abort.abort(new Error('called for'));
  };
  using file = native.memory.memfdCreate('state');
  await expect(makePages({ memory: { allocate } }, file, 1024 * MiB, abort.signal)).rejects.toThrow(
    'called for',
  );
  expect(offsets).toEqual([0n, BigInt(64 * MiB)]);
});
