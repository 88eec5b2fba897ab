// SPDX-License-Identifier: Apache-2.0
/** How long a guest's network is away, beside its blackout, as JSON and as a table. */
import { type Figure, figure } from '../figures.ts';
import { median, rounded, shown, table } from '../numbers.ts';
import type { NetworkMeasured, NetworkUpdate } from './network.ts';

export interface NetworkReport {
  readonly kernel: string;
  readonly runs: number;
  readonly figures: readonly Figure[];
}

export function networkReport({ kernels, runs, updates }: NetworkMeasured): NetworkReport {
  const ms = (of: (update: NetworkUpdate) => number): number => rounded(median(updates.map(of)));
  return {
    kernel: kernels.join(' and '),
    runs,
    figures: [
      figure(
        'network of a guest away',
        'ms',
        ms(({ awayMs }) => awayMs),
        null,
      ),
      figure(
        'blackout of that guest',
        'ms',
        ms(({ blackoutMs }) => blackoutMs),
        null,
      ),
      figure(
        'first answer after the guest runs',
        'ms',
        ms(({ awayMs, blackoutMs }) => awayMs - blackoutMs),
        null,
      ),
      figure(
        'first disk write ended after the guest runs',
        'ms',
        ms((update) => update.firstWriteMs),
        null,
      ),
    ],
  };
}

/** The report for a person. */
export function networkTable({ kernel, runs, figures }: NetworkReport): string {
  const rows = figures.map(({ name, value }) => [name, shown(value), '']);
  return [`Linux ${kernel}, medians of ${runs} updates`, table(['', 'ms', ''], rows)].join('\n\n');
}
