// SPDX-License-Identifier: Apache-2.0
/** Sizes, durations, ages and counters in words. */
import { describe, expect, test } from 'vitest';
import {
  age,
  counted,
  counter,
  duration,
  preciseDuration,
  roughDuration,
  shortDigest,
  size,
} from './quantity.ts';

describe('quantities', () => {
  test.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [1536, '1.5 KiB'],
    [268_435_456, '256 MiB'],
    [11_915_493_376, '11.1 GiB'],
  ])('%i bytes are %s', (bytes, text) => {
    expect(size(bytes)).toBe(text);
  });

  test.each([
    [340, '340 µs'],
    [4200, '4.2 ms'],
    [610_000, '610 ms'],
    [13_410_000, '13.4 s'],
    [187_000_000, '3 min 07 s'],
    [7_500_000_000, '2 h 05 min'],
    [273_600_000_000, '3 d 4 h'],
  ])('%i µs are %s', (us, text) => {
    expect(duration(us)).toBe(text);
  });

  test('a precise duration keeps its milliseconds, however long it is', () => {
    expect([340, 3000, 204_017, 125_004_400].map(preciseDuration)).toEqual([
      ...['340 µs', '0.003 s', '0.204 s', '125.004 s'],
    ]);
  });

  test('what ticks has no fractions', () => {
    expect([900_000, 59_900_000, 250_400_000].map(roughDuration)).toEqual(['0 s', '59 s', '4 min 10 s']);
  });

  test('ages are coarse', () => {
    expect([0, 12e6, 180e6, 7200e6, 500_000e6].map(age)).toEqual(['now', '12 s', '3 min', '2 h', '5 d']);
  });

  test('the counter has tenths and never runs backwards below zero', () => {
    expect([7_430_000, 723_000_000, -5].map(counter)).toEqual(['0:07.4', '12:03.0', '0:00.0']);
  });

  test('nouns take their number', () => {
    expect([counted(1, 'session'), counted(0, 'session'), counted(2, 'entry', 'entries')]).toEqual([
      '1 session',
      '0 sessions',
      '2 entries',
    ]);
  });

  test('a short digest is cut, a short text is not', () => {
    expect(shortDigest('0123456789abcdef')).toBe('0123456789ab…');
    expect(shortDigest('0123')).toBe('0123');
  });
});
