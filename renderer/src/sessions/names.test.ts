// SPDX-License-Identifier: Apache-2.0
/** Names, tokens and candidates as people type them. */
import { describe, expect, test } from 'vitest';
import { candidates } from '../../test/fake-data.ts';
import { search, whyNotChoose } from './candidates.ts';
import { nameError } from './name.ts';
import { tokenError } from './token.ts';

describe('names of sessions', () => {
  test('63 bytes are the limit, and bytes are counted, not characters', () => {
    expect(nameError('x'.repeat(63), [])).toBeNull();
    expect(nameError('x'.repeat(64), [])).toContain('64 bytes');
    expect(nameError('ä'.repeat(31), [])).toBeNull();
    expect(nameError('ä'.repeat(32), [])).toContain('64 bytes');
  });

  test('empty, taken, reserved and unprintable names are refused', () => {
    expect(nameError('', [])).toContain('Needed');
    expect(nameError('web', ['web'])).toContain('already');
    expect(nameError('luo-console', [])).toContain('reserved');
    expect(nameError('a\nb', [])).toContain('control character');
  });
});

describe('tokens', () => {
  test.each(['', ' ', '0x0', '0x2a', '0xfffffffffffeffff'])('%j is fine', (token) => {
    expect(tokenError(token)).toBeNull();
  });

  test.each(['2a', '0x', '0x2A', '0x11111111111111111', '0xffffffffffff0000'])('%j is refused', (token) => {
    expect(tokenError(token)).not.toBeNull();
  });
});

describe('candidates', () => {
  test('are found by command, user, process id and name', () => {
    const all = candidates();
    expect(search(all, '')).toHaveLength(3);
    expect(search(all, 'WEB-03').map(({ pid }) => pid)).toEqual([2141]);
    expect(search(all, '2201').map(({ pid }) => pid)).toEqual([2201]);
    expect(search(all, 'pc.').flatMap(({ descriptors }) => descriptors.map(({ name }) => name))).toEqual([
      'pc.bios',
      'pc.ram',
    ]);
    expect(search(all, 'nothing like it')).toEqual([]);
  });

  test('say why they cannot be chosen', () => {
    const reasons = candidates().flatMap(({ descriptors }) => descriptors.map(whyNotChoose));
    expect(reasons).toEqual([
      null,
      null,
      expect.stringContaining('huge pages'),
      'preserved in web-01 under 0x1',
      null,
      expect.stringContaining('still has a name'),
    ]);
  });
});
