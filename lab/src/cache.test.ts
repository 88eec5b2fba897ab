// SPDX-License-Identifier: Apache-2.0
/** The cache and its locks: what interrupted, repeated and simultaneous builds leave. */
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cached, cacheRoot, hashOf, prune, stateRoot } from './cache.ts';
import { withLock } from './lock.ts';
import { type OnProgress, withOthersShown } from './progress.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'luo-cache-'));
});
afterEach(async () => rm(root, { recursive: true }));

test('cache and state follow the XDG variables', () => {
  expect(cacheRoot({ XDG_CACHE_HOME: '/c', HOME: '/h' })).toBe('/c/luo-console');
  expect(cacheRoot({ HOME: '/h' })).toBe('/h/.cache/luo-console');
  expect(stateRoot({ XDG_STATE_HOME: '/s', HOME: '/h' })).toBe('/s/luo-console/lab');
  expect(stateRoot({ HOME: '/h' })).toBe('/h/.local/state/luo-console/lab');
});

test('a hash tells inputs apart that only join to the same text', () => {
  expect(hashOf(['ab', 'c'])).toMatch(/^[0-9a-f]{12}$/);
  expect(hashOf(['ab', 'c'])).not.toBe(hashOf(['a', 'bc']));
});

test('an entry is built once, and again when it is to be fresh', async () => {
  let builds = 0;
  const build = (directory: string) => writeFile(join(directory, 'number'), `${++builds}`);
  const entry = join(root, 'thing-0123456789ab');
  await cached(entry, build);
  await cached(entry, build);
  expect(await readFile(join(entry, 'number'), 'utf8')).toBe('1');
  await cached(entry, build, true);
  expect(await readFile(join(entry, 'number'), 'utf8')).toBe('2');
});

test('a build that fails leaves nothing, and does not spoil what was there', async () => {
  const entry = join(root, 'thing-0123456789ab');
  const fail = async (directory: string) => {
    await writeFile(join(directory, 'half'), '');
    throw new Error('no space');
  };
  await expect(cached(entry, fail)).rejects.toThrow('no space');
  expect(await readdir(root)).toEqual([]);
  await cached(entry, (directory) => writeFile(join(directory, 'whole'), ''));
  await expect(cached(entry, fail, true)).rejects.toThrow('no space');
  expect(await readdir(entry)).toEqual(['whole']);
});

test('pruning keeps the most recently used of one kind and touches no other', async () => {
  const names = ['image-aaaaaaaaaaaa', 'image-bbbbbbbbbbbb', 'image-cccccccccccc', 'image-sid-dddddddddddd'];
  await mkdir(join(root, 'image-eeeeeeeeeeee.partial'));
  for (const [age, name] of names.entries()) {
    await mkdir(join(root, name));
    await utimes(join(root, name), 1000 - age, 1000 - age);
  }
  await prune(root, 'image', 2);
  expect((await readdir(root)).sort()).toEqual([
    'image-aaaaaaaaaaaa',
    'image-bbbbbbbbbbbb',
    'image-sid-dddddddddddd',
  ]);
});

test('work under a lock is never done twice at once, and a failure lets go of it', async () => {
  const lock = join(root, 'lock');
  let inside = 0;
  let most = 0;
  const work = () =>
    withLock(lock, async () => {
      most = Math.max(most, ++inside);
      await readdir(root);
      inside--;
    });
  await Promise.all([work(), work(), work()]);
  expect(most).toBe(1);
  await expect(withLock(lock, () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
  expect(await withLock(lock, async () => 'held again')).toBe('held again');
});

test('whoever has to wait for a lock is told, and nobody else', async () => {
  const lock = join(root, 'lock');
  const told: string[] = [];
  const { promise: waits, resolve: waiting } = Promise.withResolvers<void>();
  let second: Promise<number> | undefined;
  await withLock(
    lock,
    async () => {
      second = withLock(
        lock,
        async () => told.push('works'),
        () => {
          told.push('waits');
          waiting();
        },
      );
      second.catch(() => {});
      await waits;
      told.push('lets go');
    },
    () => told.push('the first waits'),
  );
  await second;
  expect(told).toEqual(['waits', 'lets go', 'works']);
});

test('waiting for another build is put on display, and ends when it has', async () => {
  const lock = join(root, 'lock');
  const seen: string[] = [];
  const { promise: waits, resolve: waiting } = Promise.withResolvers<void>();
  const listen: OnProgress = ({ step, state }) => {
    seen.push(`${step}: ${state}`);
    waiting();
  };
  let second: Promise<string> | undefined;
  await withLock(lock, async () => {
    second = withOthersShown(listen, lock, async () => 'built');
    await waits;
  });
  expect(await second).toBe('built');
  expect([...new Set(seen)]).toEqual([
    'wait for another program that builds the same: running',
    'wait for another program that builds the same: done',
  ]);
  seen.length = 0;
  await withOthersShown(listen, lock, async () => {});
  expect(seen).toEqual([]);
});
