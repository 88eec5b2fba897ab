// SPDX-License-Identifier: Apache-2.0
/** The report of many machines, from made-up measurements. */
import { expect, it } from 'vitest';
import { roundOf } from './many.ts';
import { manyReport, manyTable } from './many-report.ts';

const spread = (firstUs: number, meanUs: number, worstUs: number) => ({ firstUs, meanUs, worstUs });

const measured = {
  ...{ kernels: ['7.3.4-a', '7.3.4-b'], runs: 3, load: { guests: 16, memoryMiB: 16 } },
  spreads: {
    'in turn': [spread(4e6, 8e6, 12e6), spread(3e6, 7e6, 14e6), spread(5e6, 6e6, 10e6)],
    'all at once': [spread(14e6, 15e6, 15e6), spread(13e6, 15e6, 16e6), spread(11e6, 11.5e6, 12e6)],
  },
};

it('both ways take turns, and each is the first one by turns', () => {
  expect(roundOf(0)).toEqual(['in turn', 'all at once']);
  expect(roundOf(1)).toEqual(['all at once', 'in turn']);
});

it('has medians of the first, the mean and the worst, and their figures with targets', () => {
  const { rows, figures } = manyReport(measured);
  expect(rows).toEqual([
    { starting: 'in turn', firstMs: 4000, meanMs: 7000, worstMs: 12_000, ratio: 0.6 },
    { starting: 'all at once', firstMs: 13_000, meanMs: 15_000, worstMs: 15_000, ratio: 0.96 },
  ]);
  expect(figures.filter(({ target }) => target !== null)).toEqual([
    { ...{ name: 'mean by worst blackout, 16 × 16 MiB', unit: 'ratio', value: 0.6, target: 0.6, met: true } },
    {
      ...{ name: 'worst blackout in turn by all at once, 16 × 16 MiB', unit: 'ratio' },
      ...{ value: 0.8, target: 1, met: true },
    },
  ]);
});

it('says what misses its target', () => {
  const slow = [spread(4e6, 16e6, 18e6)];
  const text = manyTable(manyReport({ ...measured, spreads: { ...measured.spreads, 'in turn': slow } }));
  expect(text).toMatch(/^in turn +4000 +16000 +18000 +0\.89$/m);
  expect(text).toContain(
    'misses its target: mean by worst blackout, 16 × 16 MiB is 0.89, expected at most 0.6',
  );
  expect(text).toContain('all at once, 16 × 16 MiB is 1.2, expected at most 1');
});
