// SPDX-License-Identifier: Apache-2.0
/** Who is started when: the order counts, and one that takes too long keeps no other one waiting. */
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { StartTurns } from './start-turns.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

/** Turns by name, in their order; `begun` notes those that have begun. */
function turnsOf(atOnce: number, ...names: string[]) {
  const turns = new StartTurns(atOnce);
  const begun: string[] = [];
  const told: string[] = [];
  const one = (name: string) => {
    const turn = turns.of(names.indexOf(name));
    const waits = (): void => void told.push(name);
    return { ask: () => void turn.begin(waits).then(() => begun.push(name)), end: () => turn.end() };
  };
  /** What has begun since. */
  const since = async (): Promise<string[]> => {
    await setImmediate();
    return begun.splice(0);
  };
  return { told, all: Object.fromEntries(names.map((name) => [name, one(name)])), since };
}

it('the first ones begin, whoever asks first, and the next when one ends', async () => {
  const { all, since, told } = turnsOf(2, 'a', 'b', 'c', 'd');
  for (const name of ['d', 'c', 'b', 'a']) all[name]?.ask();
  expect(await since()).toEqual(['a', 'b']);
  expect(told.toSorted()).toEqual(['c', 'd']);
  all['b']?.end();
  expect(await since()).toEqual(['c']);
  all['b']?.ask();
  all['a']?.end();
  // It comes before `d` again.
  expect(await since()).toEqual(['b']);
  all['d']?.end();
  expect(await since()).toEqual([]);
  all['c']?.end();
  expect(await since()).toEqual(['d']);
  // Once each. `b` had its turn at once.
  expect(told.toSorted()).toEqual(['c', 'd']);
});

it('one that may be started already does not wait again, and ends once', async () => {
  const { all, since } = turnsOf(1, 'a', 'b', 'c');
  for (const name of ['a', 'b', 'c']) all[name]?.ask();
  expect(await since()).toEqual(['a']);
  all['a']?.ask();
  expect(await since()).toEqual(['a']);
  all['a']?.end();
  all['a']?.end();
  expect(await since()).toEqual(['b']);
});

it('one that takes too long keeps no other one waiting, and its end does not count twice', async () => {
  const { all, since } = turnsOf(1, 'a', 'b', 'c');
  for (const name of ['a', 'b', 'c']) all[name]?.ask();
  expect(await since()).toEqual(['a']);
  await vi.advanceTimersByTimeAsync(9999);
  expect(await since()).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(await since()).toEqual(['b']);
  all['a']?.end();
  expect(await since()).toEqual([]);
  all['b']?.end();
  expect(await since()).toEqual(['c']);
});
