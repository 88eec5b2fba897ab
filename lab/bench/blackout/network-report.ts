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
  const ms = (name: string, of: (update: NetworkUpdate) => number): Figure =>
    figure(name, 'ms', rounded(median(updates.map(of))), null);
  return {
    kernel: kernels.join(' and '),
    runs,
    figures: [
      ms('network of a guest away', ({ awayMs }) => awayMs),
      ms('blackout of that guest', ({ blackoutMs }) => blackoutMs),
      // Each from when the guest runs again.
      ms('network manager started after the guest runs', ({ managerMs }) => managerMs),
      ms('network card on the bridge after the guest runs', ({ cardMs }) => cardMs),
      ms('tap on the bridge after the guest runs', ({ tapMs }) => tapMs),
      ms(
        'first answer of the host after the guest runs',
        ({ hostAwayMs, blackoutMs }) => hostAwayMs - blackoutMs,
      ),
      ms('first answer after the guest runs', ({ awayMs, blackoutMs }) => awayMs - blackoutMs),
      ms('first disk write ended after the guest runs', (update) => update.firstWriteMs),
    ],
  };
}

/** The report for a person. */
export function networkTable({ kernel, runs, figures }: NetworkReport): string {
  const rows = figures.map(({ name, value }) => [name, shown(value), '']);
  return [`Linux ${kernel}, medians of ${runs} updates`, table(['', 'ms', ''], rows)].join('\n\n');
}
