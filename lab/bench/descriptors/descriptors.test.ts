// SPDX-License-Identifier: Apache-2.0
/** The report of the descriptors benchmark, from made-up measurements. */
import { describe, expect, it } from 'vitest';
import { descriptorsReport, descriptorsTable } from './report.ts';
import { readSeries, seriesArguments } from './series.ts';

const series = [
  { count: 1, times: 3 },
  { count: 100, times: 1 },
];

describe('series', () => {
  it('are asked for and read back as medians in milliseconds', () => {
    expect(seriesArguments(series)).toEqual(['1x3', '100x1']);
    const medians = readSeries('1 120.5\n1 90\n1 110\n100 9000\ndone\n', series);
    expect([...medians]).toEqual([
      [1, 0.11],
      [100, 9],
    ]);
  });

  it('are refused if something is missing or is no figure', () => {
    expect(() => readSeries('1 1\n1 1\n1 1\ndone\n', series)).toThrow('0 times 100, expected 1');
    expect(() => readSeries('1 1\ndescriptors: preserve: Device or resource busy\n', series)).toThrow('busy');
    expect(() => readSeries('1 fast\ndone\n', series)).toThrow('"1 fast"');
  });
});

describe('the report', () => {
  const report = descriptorsReport(
    '7.3.4-a',
    [
      { operation: 'preserve', count: 100, c: 10, addon: 10.5, agent: 900 },
      { operation: 'preserve', count: 10_000, c: 2000, addon: 2600, agent: 40_000 },
    ],
    new Map([[10_000, 3]]),
  );

  it('has ratios to C, and says what the agent did not get back', () => {
    const { figures, ...rest } = report;
    expect(figures).toEqual([
      {
        name: 'preserve 100 descriptors through the addon',
        value: 1.05,
        unit: 'ratio',
        target: 1.1,
        met: true,
      },
      {
        name: 'preserve 100 descriptors through the agent, each',
        value: 9,
        unit: 'ms',
        target: null,
        met: null,
      },
      {
        name: 'preserve 10000 descriptors through the addon',
        value: 1.3,
        unit: 'ratio',
        target: 1.1,
        met: false,
      },
      {
        name: 'preserve 10000 descriptors through the agent, each',
        value: 4,
        unit: 'ms',
        target: 2,
        met: false,
      },
      {
        name: 'of 10000 descriptors through the agent, missing in the next kernel',
        value: 3,
        unit: 'times',
        target: 0,
        met: false,
      },
    ]);
    expect(rest).toEqual({
      kernel: '7.3.4-a',
      descriptors: [
        {
          ...{ operation: 'preserve', count: 100, cMs: 10, addonMs: 10.5, addonRatio: 1.05 },
          ...{ agentMs: 900, agentRatio: 90 },
        },
        {
          ...{ operation: 'preserve', count: 10_000, cMs: 2000, addonMs: 2600, addonRatio: 1.3 },
          ...{ agentMs: 40_000, agentRatio: 20 },
        },
      ],
    });
  });

  it('says in the table what misses its target', () => {
    const text = descriptorsTable(report);
    expect(text.match(/addon misses 1\.1/g)).toHaveLength(1);
  });
});
