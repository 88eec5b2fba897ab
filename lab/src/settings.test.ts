// SPDX-License-Identifier: Apache-2.0
/** Names, memory sizes and paths of hosts, and their limits. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { hostFiles, hostNames, parseMemory, readSettings, writeSettings } from './settings.ts';

let state: string;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'luo-state-'));
  vi.stubEnv('XDG_STATE_HOME', state);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(state, { recursive: true });
});

test.each(['', 'Upper', '1st', '-x', 'a/b', '..', 'a b', 'x'.repeat(32)])(
  '%j is no name for a host',
  (name) => {
    expect(() => hostFiles(name)).toThrow(RangeError);
  },
);

test('a directory in which sockets would not fit is refused before anything is made', () => {
  vi.stubEnv('XDG_STATE_HOME', `/${'long/'.repeat(20)}`);
  expect(() => hostFiles('lab')).toThrow(/expected at most \d+, because sockets are made in it/);
});

test.each([
  ['2G', 2048],
  ['512M', 512],
  ['1536m', 1536],
])('memory %s is %d MiB', (text, mebibytes) => {
  expect(parseMemory(text)).toBe(mebibytes);
});

test.each(['', '2', '2K', '0G', '-2G', '1.5G', '511M', '2 G'])(
  'memory %j is refused with its value',
  (text) => {
    expect(() => parseMemory(text)).toThrow(JSON.stringify(text));
  },
);

test('a host is what its settings say; half-made ones are not listed', async () => {
  const settings = { memoryMiB: 2048, kernel: '/k', kernelArguments: [], uuid: 'u', sshPort: 2222 };
  expect(await hostNames()).toEqual([]);
  await writeSettings({ name: 'two', suite: 'trixie', ...settings });
  await writeSettings({ name: 'one', suite: 'sid', ...settings });
  await mkdir(hostFiles('half').directory);
  expect(await hostNames()).toEqual(['one', 'two']);
  expect(await readSettings('two')).toEqual({ name: 'two', suite: 'trixie', ...settings });
  expect(await readSettings('three')).toBeUndefined();
});
