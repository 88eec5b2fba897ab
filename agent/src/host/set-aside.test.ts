// SPDX-License-Identifier: Apache-2.0
/** Names that are given to something else for a while, in directories of another user. */
import {
  chownSync,
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
import { afterEach, beforeEach, expect, it } from 'vitest';
import { dropAside, putBack, setAside } from './set-aside.ts';

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

it('are not followed: a link is renamed itself', () => {
  symlinkSync('/etc/passwd', reach('/a'));
  setAside(reach, name, own);
  expect(lstatSync(reach('/a.before')).isSymbolicLink()).toBe(true);
});
