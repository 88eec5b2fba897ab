// SPDX-License-Identifier: Apache-2.0
/** How many descriptors are measured how often, and the lines in which the programs in the host say what they took. */
import { median } from '../numbers.ts';

export interface Series {
  /** Descriptors in one session. */
  readonly count: number;
  /** Sessions of as many. */
  readonly times: number;
}

/** For C and the addon. */
export const allSeries: readonly Series[] = [
  { count: 1, times: 31 },
  { count: 100, times: 9 },
  { count: 1000, times: 5 },
  { count: 10_000, times: 3 },
];

/** Fewer for the agent. Each descriptor costs it a place in the service manager's store, besides what it writes down. */
export const agentSeries: readonly Series[] = [
  { count: 1, times: 15 },
  { count: 100, times: 3 },
  { count: 1000, times: 1 },
  { count: 10_000, times: 1 },
];

/** Series as arguments of the programs in the host. */
export function seriesArguments(series: readonly Series[]): string[] {
  return series.map(({ count, times }) => `${count}x${times}`);
}

/**
 * Medians by count, in milliseconds.
 *
 * @param output lines `COUNT MICROSECONDS` and, at the end, `done`
 * @param series what was asked for
 * @throws Error if the output is not of these
 */
export function readSeries(output: string, series: readonly Series[]): ReadonlyMap<number, number> {
  const lines = output.trimEnd().split('\n');
  if (lines.at(-1) !== 'done')
    throw new Error(`expected output that ends in "done":\n${lines.slice(-20).join('\n')}`);
  const taken = lines.slice(0, -1).map((line) => {
    const match = /^(\d+) (\d+(?:\.\d+)?)$/.exec(line);
    if (!match) throw new Error(`output line "${line}", expected COUNT MICROSECONDS`);
    return { count: Number(match[1]), ms: Number(match[2]) / 1000 };
  });
  return new Map(
    series.map(({ count, times }) => {
      const own = taken.filter((each) => each.count === count).map(({ ms }) => ms);
      if (own.length !== times) throw new Error(`${own.length} times ${count}, expected ${times}`);
      return [count, median(own)];
    }),
  );
}
