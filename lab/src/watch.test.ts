// SPDX-License-Identifier: Apache-2.0
/** Waiting for text in a file that grows. */
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { waitForText } from './watch.ts';

let directory: string;
let log: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'luo-watch-'));
  log = join(directory, 'log');
  await writeFile(log, 'first é line\n');
});
afterEach(async () => rm(directory, { recursive: true }));

test('what is there already is found at once, with its place in bytes', async () => {
  const found = await waitForText(log, /line/);
  expect(found.match[0]).toBe('line');
  expect(found.end).toBe(Buffer.byteLength('first é line'));
});

test('what comes later is found, though it comes in pieces', async () => {
  const found = waitForText(log, /rea(dy)/);
  await appendFile(log, 'not yet re');
  await appendFile(log, 'ady\n');
  expect((await found).match[1]).toBe('dy');
});

test('what is before the offset does not count', async () => {
  const { end } = await waitForText(log, /line/);
  const next = waitForText(log, /line (\d)/, { from: end });
  await appendFile(log, 'line 2\n');
  expect((await next).match[1]).toBe('2');
});

test('more than one buffer is read', async () => {
  await writeFile(log, `${'x'.repeat(200_000)}end`);
  expect((await waitForText(log, /end$/)).end).toBe(200_003);
});

test('waiting ends with the reason it is given', async () => {
  const stop = new AbortController();
  const found = waitForText(log, /never/, { signal: stop.signal });
  stop.abort(new Error('enough'));
  await expect(found).rejects.toThrow('enough');
});
