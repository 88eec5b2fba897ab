// SPDX-License-Identifier: Apache-2.0
/** For what a file is open, by its flags in procfs. */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { accessMode } from './access-mode.ts';

it.each([
  ['r', 'read'],
  ['w', 'write'],
  ['r+', 'both'],
] as const)('opened with %s is for %s', (flags, mode) => {
  const fd = openSync('/dev/null', flags);
  expect(accessMode(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))).toBe(mode);
  closeSync(fd);
});

it('is unknown where nothing is said, and for writing with the mode that neither reads nor writes', () => {
  expect(accessMode('pos:\t0\n')).toBeNull();
  // Of O_ACCMODE as a whole: ioctl only (open(2)).
  expect(accessMode('pos:\t0\nflags:\t0100003\n')).toBe('both');
});
