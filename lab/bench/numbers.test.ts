// SPDX-License-Identifier: Apache-2.0
/** Medians, ratios and tables of the benchmarks. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { median, ratioOf, shown, table } from './numbers.ts';

describe('median', () => {
  it('is the middle, whatever the order', () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([7])).toBe(7);
    expect(() => median([])).toThrow('no values');
  });

  it('has as many values above as below it', () => {
    const values = fc.array(fc.integer({ min: 0, max: 1e6 }), { minLength: 1 });
    fc.assert(
      fc.property(values, (some) => {
        const middle = median(some);
        expect(some.filter((value) => value < middle).length).toBeLessThanOrEqual(some.length / 2);
        expect(some.filter((value) => value > middle).length).toBeLessThanOrEqual(some.length / 2);
      }),
    );
  });
});

describe('ratioOf', () => {
  it('is known only where both are, and the reference is something', () => {
    expect(ratioOf(230, 200)).toBe(1.15);
    expect(ratioOf(null, 200)).toBeNull();
    expect(ratioOf(230, null)).toBeNull();
    expect(ratioOf(230, 0)).toBeNull();
  });
});

describe('table', () => {
  it('sets numbers flush right and words flush left', () => {
    const text = table(
      ['part', 'ms', ''],
      [
        ['save', shown(1234.5), 'misses 1.15'],
        ['x', shown(3.256), ''],
        ['y', shown(null), ''],
      ],
    );
    expect(text.split('\n')).toEqual([
      'part    ms',
      '----  ----  -----------',
      'save  1235  misses 1.15',
      'x     3.26',
      'y        –',
    ]);
  });
});
