// SPDX-License-Identifier: Apache-2.0
/** What many machines wait for, in turn beside all at once, as JSON and as a table. */
import type { BlackoutSpread } from '@luo-console/agent/interface';
import { type Figure, figure } from '../figures.ts';
import { median, ratioOf, rounded, shown, table } from '../numbers.ts';
import type { ManyMeasured, Starting } from './many.ts';

/** In turn, the mean should be no more than this times the worst. */
const meanTarget = 0.6;
/** In turn, the worst should be no more than this times the worst of all at once. */
const worstTarget = 1;

interface ManyRow {
  readonly starting: Starting;
  /** Medians, in ms. */
  readonly firstMs: number;
  readonly meanMs: number;
  readonly worstMs: number;
  readonly ratio: number | null;
}

export interface ManyReport {
  readonly kernel: string;
  readonly runs: number;
  readonly guests: number;
  readonly memoryMiB: number;
  readonly rows: readonly ManyRow[];
  readonly figures: readonly Figure[];
}

function rowOf(starting: Starting, spreads: readonly BlackoutSpread[]): ManyRow {
  const ms = (of: (spread: BlackoutSpread) => number): number => rounded(median(spreads.map(of)) / 1000);
  return {
    starting,
    firstMs: ms(({ firstUs }) => firstUs),
    meanMs: ms(({ meanUs }) => meanUs),
    worstMs: ms(({ worstUs }) => worstUs),
    // Of each update, and then the middle: mean and worst of one update belong together.
    ratio: rounded(median(spreads.map(({ meanUs, worstUs }) => meanUs / worstUs)), 2),
  };
}

export function manyReport({ kernels, runs, load, spreads }: ManyMeasured): ManyReport {
  const [inTurn, atOnce] = [
    rowOf('in turn', spreads['in turn']),
    rowOf('all at once', spreads['all at once']),
  ];
  const of = `${load.guests} × ${load.memoryMiB} MiB`;
  const times = [inTurn, atOnce].flatMap(({ starting, firstMs, meanMs, worstMs }) => [
    figure(`blackout of the first, ${of}, ${starting}`, 'ms', firstMs, null),
    figure(`blackout, mean, ${of}, ${starting}`, 'ms', meanMs, null),
    figure(`blackout of the last, ${of}, ${starting}`, 'ms', worstMs, null),
  ]);
  const figures = [
    ...times,
    figure(`mean by worst blackout, ${of}`, 'ratio', inTurn.ratio, meanTarget),
    figure(
      `worst blackout in turn by all at once, ${of}`,
      'ratio',
      ratioOf(inTurn.worstMs, atOnce.worstMs),
      worstTarget,
    ),
  ];
  return { kernel: kernels.join(' and '), runs, ...load, rows: [inTurn, atOnce], figures };
}

/** The report for a person; times in milliseconds. */
export function manyTable({ kernel, runs, guests, memoryMiB, rows, figures }: ManyReport): string {
  const header = ['started', 'first ms', 'mean ms', 'worst ms', 'mean/worst', ''];
  const lines = rows.map(({ starting, firstMs, meanMs, worstMs, ratio }) => [
    starting,
    ...[firstMs, meanMs, worstMs, ratio].map(shown),
    '',
  ]);
  const missed = figures.flatMap(({ name, value, target, met }) =>
    met === false ? [`misses its target: ${name} is ${value}, expected at most ${target}`] : [],
  );
  const title = `Linux ${kernel}, ${guests} machines of ${memoryMiB} MiB, medians of ${runs} updates`;
  return [title, table(header, lines), ...missed].join('\n\n');
}
