// SPDX-License-Identifier: Apache-2.0
/** Names that are given to something else for a while, in directories of another user. */
import {
  chmodSync,
  chownSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dropAside, needAside, putBack, setAside } from './set-aside.ts';

let directory: string;
const own = process.getuid?.() ?? 0;
const reach = (path: string): string => `${directory}${path}`;
const name = { path: '/a', aside: '/a.before' };
const there = (path: string): boolean => lstatSync(reach(path), { throwIfNoEntry: false }) !== undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'luo-aside-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

it('come back, whatever has them by then', () => {
  writeFileSync(reach('/a'), 'old');
  setAside(reach, name, own);
  expect([there('/a'), there('/a.before')]).toEqual([false, true]);
  writeFileSync(reach('/a'), 'new');
  putBack(reach, name, own);
  expect([readFileSync(reach('/a'), 'utf8'), there('/a.before')]).toEqual(['old', false]);
  // What was not put aside stays.
  putBack(reach, name, own);
  expect(readFileSync(reach('/a'), 'utf8')).toBe('old');
});

it('of a socket go on leading to whoever listens there', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(reach('/a'), resolve));
  setAside(reach, name, own);
  putBack(reach, name, own);
  expect(lstatSync(reach('/a')).isSocket()).toBe(true);
  await new Promise((resolve) => server.close(resolve));
});

it('are dropped where nobody puts them back', () => {
  writeFileSync(reach('/a'), 'old');
  setAside(reach, name, own);
  writeFileSync(reach('/a'), 'new');
  dropAside(reach, name, own);
  expect([readFileSync(reach('/a'), 'utf8'), there('/a.before')]).toEqual(['new', false]);
});

it('are left alone where there is nothing of that name, or no directory', () => {
  setAside(reach, name, own);
  const gone = { path: '/gone/a', aside: '/gone/a.before' };
  putBack(reach, gone, own);
  dropAside(reach, gone, own);
  expect(there('/gone')).toBe(false);
});

it('are not taken from anybody else, nor is a directory renamed', (context) => {
  mkdirSync(reach('/a'));
  expect(() => setAside(reach, name, own)).toThrow('/a is no socket, file or link');
  rmSync(reach('/a'), { recursive: true });
  context.skip(own !== 0, 'a file is given to somebody by root');
  writeFileSync(reach('/a'), 'another’s');
  chownSync(reach('/a'), 1234, 1234);
  expect(() => setAside(reach, name, own)).toThrow(`/a belongs to user 1234; expected ${own}`);
  expect(there('/a')).toBe(true);
});

it('do not come back in place of somebody else’s', (context) => {
  context.skip(own !== 0, 'a file is given to somebody by root');
  writeFileSync(reach('/a'), 'old');
  setAside(reach, name, own);
  writeFileSync(reach('/a'), 'another’s');
  chownSync(reach('/a'), 1234, 1234);
  expect(() => putBack(reach, name, own)).toThrow(`/a belongs to user 1234; expected ${own}`);
  expect([readFileSync(reach('/a'), 'utf8'), there('/a.before')]).toEqual(['another’s', true]);
});

describe('where root may rename and a user may not', () => {
  const user = 1234;
  const inShared = { path: '/shared/a', aside: '/shared/a.before' };
  beforeEach((context) => context.skip(own !== 0, 'files are given to others by root'));

  function make(path: string, uid: number): void {
    writeFileSync(reach(path), `of ${uid}`);
    chownSync(reach(path), uid, uid);
  }

  it('nothing is renamed: a directory with the sticky bit', () => {
    mkdirSync(reach('/shared'));
    chmodSync(reach('/shared'), 0o1777);
    make('/shared/a', user);
    const refused = 'its directory has the sticky bit and belongs to user 0; expected 1234';
    expect(() => setAside(reach, inShared, user)).toThrow(refused);
    expect(() => needAside(reach, '/shared/a', user)).toThrow(refused);
    make('/shared/a.before', user);
    expect(() => putBack(reach, inShared, user)).toThrow(refused);
    expect([there('/shared/a'), there('/shared/a.before')]).toEqual([true, true]);
    // It is the user's own.
    chownSync(reach('/shared'), user, user);
    setAside(reach, inShared, user);
    expect(there('/shared/a')).toBe(false);
  });

  it('nothing that is not there is complained of', () => {
    mkdirSync(reach('/shared'));
    chmodSync(reach('/shared'), 0o1777);
    setAside(reach, inShared, user);
    putBack(reach, inShared, user);
    dropAside(reach, inShared, user);
  });

  it('nothing is renamed: a link of the user in place of its directory', () => {
    mkdirSync(reach('/home'));
    chownSync(reach('/home'), user, user);
    mkdirSync(reach('/other'));
    make('/other/a', user);
    make('/other/a.before', user);
    const through = { path: '/home/vm/a', aside: '/home/vm/a.before' };
    // Its target begins at the root from which the path is reached.
    symlinkSync('/other', reach('/home/vm'));
    lchownSync(reach('/home/vm'), user, user);
    const refused = 'a link that is not only root’s leads to its directory, which belongs to user 0';
    for (const rename of [setAside, putBack, dropAside])
      expect(() => rename(reach, through, user)).toThrow(refused);
    expect([there('/other/a'), there('/other/a.before')]).toEqual([true, true]);
    // To a directory of theirs they may have links.
    chownSync(reach('/other'), user, user);
    setAside(reach, through, user);
    expect(there('/other/a')).toBe(false);
  });

  it('a link of root is followed', () => {
    mkdirSync(reach('/var'));
    mkdirSync(reach('/run'));
    make('/run/a', user);
    symlinkSync('../run', reach('/var/run'));
    setAside(reach, { path: '/var/run/a', aside: '/var/run/a.before' }, user);
    expect([there('/run/a'), there('/run/a.before')]).toEqual([false, true]);
  });

  it('links that lead nowhere come to an end', () => {
    symlinkSync('loop', reach('/loop'));
    expect(() => setAside(reach, { path: '/loop/a', aside: '/loop/b' }, user)).toThrow(
      '/loop/a leads through more than 40 links',
    );
  });
});

it('are not followed: a link is renamed itself', () => {
  symlinkSync('/etc/passwd', reach('/a'));
  setAside(reach, name, own);
  expect(lstatSync(reach('/a.before')).isSymbolicLink()).toBe(true);
});
