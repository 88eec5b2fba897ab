// SPDX-License-Identifier: Apache-2.0
/** Making the pages of a state's file: all of them, off the event loop, and no more once it is aborted. */
import { setImmediate } from 'node:timers/promises';
import { type Native, native } from '@luo-console/native';
import { expect, it } from 'vitest';
import { Unended } from '../host/unended.ts';
import { makePages } from './state-pages.ts';

const MiB = 1024 ** 2;
const unended = new Unended(() => {});

it('pages of a state are made to its end, in pieces between which the event loop has its turn', async () => {
  using file = native.memory.memfdCreate('state');
  let turns = 0;
  let going = true;
  const turn = (): void => {
    turns += 1;
    if (going) globalThis.setImmediate(turn);
  };
  globalThis.setImmediate(turn);
  const pieces: number[] = [];
  const allocate: Native['memory']['allocate'] = async (into, offset, bytes) => {
    const before = turns;
    await native.memory.allocate(into, offset, bytes);
    pieces.push(turns - before);
  };
  await makePages({ memory: { allocate }, unended }, file, 130 * MiB + 5);
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
  await expect(makePages({ memory: { allocate }, unended }, file, 1024 * MiB, abort.signal)).rejects.toThrow(
    'called for',
  );
  expect(offsets).toEqual([0n, BigInt(64 * MiB)]);
});

it('a piece that the kernel never ends is not waited for once it is aborted, and is known', async () => {
  const abort = new AbortController();
  const made = Promise.withResolvers<void>();
  using file = native.memory.memfdCreate('state');
  const allocate = () => made.promise;
  const making = makePages({ memory: { allocate }, unended }, file, MiB, abort.signal);
  abort.abort(new Error('called for'));
  await expect(making).rejects.toThrow('called for');
  expect(unended.left).toEqual(['making room for the state of a machine']);
  made.resolve();
  await setImmediate();
  expect(unended.left).toEqual([]);
});
