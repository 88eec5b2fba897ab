// SPDX-License-Identifier: Apache-2.0
/** Work that may never end: who waits for it, and what becomes of it afterwards. */
import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { NotEnded, Unended } from './unended.ts';

const said: string[] = [];
const unended = new Unended((level, message, { what }) => void said.push(`${level} ${message}: ${what}`));

it('is waited for, and nothing is left behind', async () => {
  expect(await unended.waitFor('a look', Promise.resolve(7))).toBe(7);
  await expect(unended.waitFor('a look', Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(unended.left).toEqual([]);
});

it('is left behind once it is not waited for any more, and known until what came of it is given back', async () => {
  const work = Promise.withResolvers<number>();
  const giving = Promise.withResolvers<void>();
  const given: number[] = [];
  const abort = new AbortController();
  const waiting = unended.waitFor('loading a kernel', work.promise, {
    signal: abort.signal,
    giveBack: async (result) => {
      given.push(result);
      await giving.promise;
    },
  });
  abort.abort(new Error('somebody aborts it'));
  await expect(waiting).rejects.toThrow('somebody aborts it');
  expect(unended.left).toEqual(['loading a kernel']);
  work.resolve(5);
  await setImmediate();
  expect(given).toEqual([5]);
  expect(unended.left).toEqual(['loading a kernel']);
  giving.resolve();
  await setImmediate();
  expect(unended.left).toEqual([]);
  expect(said).toEqual([
    'warning left behind: it has not ended: loading a kernel',
    'info what was left behind has ended: loading a kernel',
  ]);
});

it('is left behind after its limit, and forgotten once it has failed', async () => {
  const work = Promise.withResolvers<number>();
  const given: number[] = [];
  const waiting = unended.waitFor('a look', work.promise, {
    limitMs: 1,
    giveBack: (result) => given.push(result),
  });
  await expect(waiting).rejects.toThrow(new NotEnded('a look', 1));
  expect(unended.left).toEqual(['a look']);
  work.reject(new Error('no'));
  await setImmediate();
  expect(unended.left).toEqual([]);
  expect(given).toEqual([]);
});

it('that heeds the signal is waited for a moment, and is not left behind', async () => {
  const abort = new AbortController();
  const piece = Promise.withResolvers<number>();
  const waiting = unended.waitFor('a digest', piece.promise, { signal: abort.signal, heeds: true });
  abort.abort(new Error('somebody aborts it'));
  setImmediate().then(() => piece.reject(new Error('ended early')));
  await expect(waiting).rejects.toThrow('somebody aborts it');
  expect(unended.left).toEqual([]);
  expect(said.filter((line) => line.includes('a digest'))).toEqual([]);
});

it('that ended just as the signal fired is not left behind', async () => {
  const abort = new AbortController();
  const waiting = unended.waitFor('a look', Promise.reject(new Error('no')), { signal: abort.signal });
  abort.abort(new Error('somebody aborts it'));
  await expect(waiting).rejects.toThrow();
  expect(unended.left).toEqual([]);
});

it('that ended well just as the signal fired is given back', async () => {
  const abort = new AbortController();
  const given: number[] = [];
  abort.abort(new Error('somebody aborts it'));
  const work = Promise.withResolvers<number>();
  const waiting = unended.waitFor('a look', work.promise, {
    signal: abort.signal,
    giveBack: (result) => given.push(result),
  });
  work.resolve(7);
  await expect(waiting).rejects.toThrow('somebody aborts it');
  await setImmediate();
  expect(given).toEqual([7]);
  expect(unended.left).toEqual([]);
});

it('that goes on is not begun again before it has ended', async () => {
  const first = Promise.withResolvers<number>();
  const begun: number[] = [];
  const begin = () => {
    begun.push(begun.length);
    return begun.length === 1 ? first.promise : Promise.resolve(2);
  };
  await expect(unended.waitForOne('looking at /etc', begin, { limitMs: 1 })).rejects.toThrow(NotEnded);
  await expect(unended.waitForOne('looking at /etc', begin, { limitMs: 1 })).rejects.toThrow(
    'looking at /etc has not ended since before, and goes on',
  );
  expect(begun).toEqual([0]);
  first.resolve(1);
  await setImmediate();
  expect(await unended.waitForOne('looking at /etc', begin, { limitMs: 1 })).toBe(2);
});
