// SPDX-License-Identifier: Apache-2.0
/** Where the sockets of machines are made, and who may enter. */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { makeMeetingPlace } from './socket-directory.ts';

it.each([
  ['pass', 0o711],
  ['make', 0o1733],
] as const)('others may %s whatever the umask is', (others, mode) => {
  const before = process.umask(0o077);
  const folder = mkdtempSync(join(tmpdir(), 'meeting-'));
  onTestFinished(() => {
    process.umask(before);
    rmSync(folder, { recursive: true });
  });
  const [first, second] = [1, 2].map(() => makeMeetingPlace(join(folder, 'run'), others));
  expect(first).not.toBe(second);
  for (const place of [first, second]) expect(statSync(place ?? '').mode & 0o7777).toBe(mode);
  expect(statSync(dirname(first ?? '')).mode & 0o7777).toBe(0o711);
});
