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

const blackoutName = 'blackout of that guest';
/** How the times that begin when the guest runs again are called at the end. */
const sinceRunning = ' after the guest runs';

export function networkReport({ kernels, runs, updates }: NetworkMeasured): NetworkReport {
  const ms = (name: string, of: (update: NetworkUpdate) => number): Figure =>
    figure(name, 'ms', rounded(median(updates.map(of))), null);
  return {
    kernel: kernels.join(' and '),
    runs,
    figures: [
      ms('network of a guest away', ({ awayMs }) => awayMs),
      ms(blackoutName, ({ blackoutMs }) => blackoutMs),
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

/** How wide the longest time is drawn, in characters. */
const drawnWidth = 50;

/** The report for a person, with each time drawn from the guest's stop on. */
export function networkTable({ kernel, runs, figures }: NetworkReport): string {
  const blackout = figures.find(({ name }) => name === blackoutName)?.value ?? 0;
  const spans = figures.map(({ name, value }) => {
    const from = name.endsWith(sinceRunning) ? blackout : 0;
    return { name, value, from, until: from + (value ?? 0) };
  });
  const longest = Math.max(1, ...spans.map(({ until }) => until));
  const at = (ms: number): number => Math.round((Math.max(0, ms) / longest) * drawnWidth);
  const rows = spans.map(({ name, value, from, until }) => {
    const [begin, end] = [Math.min(at(from), at(until)), Math.max(at(from), at(until))];
    return [name, shown(value), `${' '.repeat(begin)}${'#'.repeat(Math.max(1, end - begin))}`];
  });
  const heading = `from the guest's stop to ${shown(longest / 1000)} s later`;
  return [`Linux ${kernel}, medians of ${runs} updates`, table(['', 'ms', heading], rows)].join('\n\n');
}
