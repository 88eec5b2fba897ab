// SPDX-License-Identifier: Apache-2.0
/** What could not be undone, tried again: by itself, and when it is asked for. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Leftovers } from './leftovers.ts';

let left: string[];
let attempts: number;
let told: (readonly string[])[];

beforeEach(() => {
  vi.useFakeTimers();
  left = ['load-kernel'];
  attempts = 0;
  told = [];
});
afterEach(() => vi.useRealTimers());

/** @param works the attempt that works */
function leftovers(works: number): Leftovers {
  const undoLeft = async (): Promise<string[]> => {
    attempts += 1;
    if (attempts < works) return ['it stays loaded'];
    left = [];
    return [];
  };
  const steps = {
    undoLeft,
    get left() {
      return left;
    },
  };
  return new Leftovers({ ...{ update: 'u', steps, pausesMs: [10, 100] }, told: (each) => told.push(each) });
}

it('is tried by itself with growing pauses until it is undone, and no more then', async () => {
  leftovers(4);
  await vi.advanceTimersByTimeAsync(10);
  expect(attempts).toBe(1);
  await vi.advanceTimersByTimeAsync(99);
  expect(attempts).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(attempts).toBe(2);
  await vi.advanceTimersByTimeAsync(200);
  expect(attempts).toBe(4);
  expect(told).toEqual([['it stays loaded'], ['it stays loaded'], ['it stays loaded'], []]);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(attempts).toBe(4);
});

it('is tried at once when it is asked for, one attempt after the other', async () => {
  const undo = leftovers(2);
  const both = Promise.all([undo.tryNow(), undo.tryNow()]);
  await vi.advanceTimersByTimeAsync(0);
  expect(await both).toEqual([['it stays loaded'], []]);
  expect(undo.left).toEqual([]);
  expect(await undo.tryNow()).toEqual([]);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(attempts).toBe(2);
});
