// SPDX-License-Identifier: Apache-2.0
/** The name that the session of a newly adopted machine gets. */
import { expect, it } from 'vitest';
import { freeSessionName } from './new-adoption.ts';

it('the session of a machine has its name, cut to what the kernel takes, and its pid where that is taken', () => {
  const none = (): boolean => false;
  expect(freeSessionName({ name: 'web-01', pid: 7 }, none)).toBe('machine:web-01');
  const long = freeSessionName({ name: 'ä'.repeat(80), pid: 7 }, none);
  expect(Buffer.byteLength(long)).toBeLessThanOrEqual(63);
  expect(long).toMatch(/^machine:ä+$/);
  const taken = new Set([long, 'machine:web-01']);
  expect(freeSessionName({ name: 'web-01', pid: 4711 }, (name) => taken.has(name))).toBe(
    'machine:web-01:4711',
  );
  const second = freeSessionName({ name: 'ä'.repeat(80), pid: 4711 }, (name) => taken.has(name));
  expect(Buffer.byteLength(second)).toBeLessThanOrEqual(63);
  expect(second).toMatch(/:4711$/);
});
