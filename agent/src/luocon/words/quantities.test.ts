// SPDX-License-Identifier: Apache-2.0
/** Quantities as `luocon` prints them, and arguments as it reads them. */
import { describe, expect, it } from 'vitest';
import { token, wholeNumber } from '../arguments.ts';
import { clock, count, duration, printable, printableJson, size, time, words } from './quantities.ts';

describe('units', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [1536, '1.5 KiB'],
    [268_435_456, '256 MiB'],
    [1_610_612_736, '1.5 GiB'],
    [2 ** 52, '4 PiB'],
  ])('%i bytes are %s', (bytes, text) => {
    expect(size(bytes)).toBe(text);
  });

  it.each([
    [0, '0 µs'],
    [999, '999 µs'],
    [1500, '1.5 ms'],
    [250_000, '250 ms'],
    [999_499, '999 ms'],
    [999_500, '1.0 s'],
    [12_345_000, '12.3 s'],
    [59_949_000, '59.9 s'],
    [59_960_000, '1 min 0 s'],
    [125_000_000, '2 min 5 s'],
    [3 * 3_600_000_000 + 240_000_000, '3 h 4 min'],
    [51 * 3_600_000_000, '2 d 3 h'],
  ])('%i µs are %s', (us, text) => {
    expect(duration(us)).toBe(text);
  });

  it('times are local', () => {
    const us = new Date(2026, 10, 21, 15, 4, 5, 67).getTime() * 1000;
    expect(time(us)).toBe('2026-11-21 15:04:05');
    expect(clock(us)).toBe('15:04:05.067');
  });

  it('words and counts', () => {
    expect([words('cold_boot'), count(1, 'session'), count(0, 'session')]).toEqual([
      'cold boot',
      '1 session',
      '0 sessions',
    ]);
  });

  it('nothing steers the terminal', () => {
    expect(printable('a\u001b[2Jb\r\nc\u009bd\u202ee é')).toBe('a\\x1b[2Jb\\x0d\\x0ac\\x9bd\\u202ee é');
    expect(printable('a\u200bb\u200ec\u061cd\ufeffe\u{e0041}f\ud800')).toBe(
      'a\\u200bb\\u200ec\\u061cd\\ufeffe\\u{e0041}f\\ud800',
    );
    expect(printable('\u0915\u094d\u200d')).toBe('\u0915\u094d\u200d');
  });

  it('JSON that steers no terminal says the same', () => {
    const value = { text: 'a\u009b2J\u202eb\u{e0041}\ud800 é' };
    const json = printableJson(`${JSON.stringify(value)}\n`);
    expect(json).toMatch(/^[ -~é]*\n$/);
    expect(JSON.parse(json)).toEqual(value);
  });
});

describe('arguments', () => {
  it.each([
    ['0', '0x0'],
    ['255', '0xff'],
    ['0xABCDEF', '0xabcdef'],
    ['18446744073709551615', '0xffffffffffffffff'],
  ])('token %s is %s', (text, written) => {
    expect(token(text)).toBe(written);
  });

  it.each(['', '-1', '1.5', 'abc', '0x', '18446744073709551616', '0x10000000000000000', ' 1'])(
    'token %j is refused',
    (text) => {
      expect(() => token(text)).toThrow('2^64');
    },
  );

  it('numbers have bounds', () => {
    expect(wholeNumber(1, 100)('100')).toBe(100);
    for (const text of ['0', '101', 'x', '1e1', ''])
      expect(() => wholeNumber(1, 100)(text)).toThrow('from 1 to 100');
  });
});
