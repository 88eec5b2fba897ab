// SPDX-License-Identifier: Apache-2.0
/** What memory costs in a blackout by its size, and which kernel spends that time on what, as JSON and as a table. */
import type { BootStretch } from '@luo-console/agent/interface';
import { type Figure, figure } from '../figures.ts';
import { median, ratioOf, rounded, shown, table } from '../numbers.ts';
import { loadWords, type MemoryLoad, type MemoryMeasured, type MemoryUpdate } from './memory.ts';
import { blackoutParts, medianTimes, type PartTimes } from './parts.ts';

/** A blackout with much memory should take no longer than this times that with 64 MiB. */
const sizeTarget = 1.15;

interface MemoryRow extends MemoryLoad {
  readonly load: string;
  /** Medians, in ms. */
  readonly parts: PartTimes;
  readonly wholeMs: number;
  /** Of the part *kexec*: in the old kernel, and in the next one before its clock runs. */
  readonly oldKernelMs: number | null;
  readonly nextKernelMs: number | null;
  /** What the next kernel's boot took time for, of the last update. */
  readonly stretches: readonly BootStretch[];
}

export interface MemoryReport {
  readonly kernel: string;
  readonly runs: number;
  readonly rows: readonly MemoryRow[];
  readonly figures: readonly Figure[];
}

const wholeMs = (times: PartTimes): number => blackoutParts.reduce((sum, part) => sum + times[part], 0);

/** The median of what is known; null if nothing is. */
function medianKnown(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : rounded(median(known));
}

function rowOf(load: MemoryLoad, updates: readonly MemoryUpdate[]): MemoryRow {
  return {
    ...load,
    load: loadWords(load),
    parts: medianTimes(updates.map(({ times }) => times)),
    wholeMs: rounded(median(updates.map(({ times }) => wholeMs(times)))),
    oldKernelMs: medianKnown(updates.map(({ kernel }) => kernel.oldMs)),
    nextKernelMs: medianKnown(updates.map(({ kernel }) => kernel.newMs)),
    stretches: updates.at(-1)?.kernel.stretches ?? [],
  };
}

/** Each load against as many machines of 64 MiB in the same pages. Small pages have no target. */
function figuresOf(rows: readonly MemoryRow[]): Figure[] {
  return rows.flatMap((row) => {
    const least = rows.find(
      ({ guests, pages, memoryMiB, besideFiles }) =>
        guests === row.guests && pages === row.pages && memoryMiB === 64 && besideFiles === 0,
    );
    if (least === undefined || least === row) return [];
    const ratio = ratioOf(row.wholeMs, least.wholeMs);
    return [
      figure(`blackout ${row.load}, by 64 MiB`, 'ratio', ratio, row.pages === 'huge' ? sizeTarget : null),
    ];
  });
}

export function memoryReport({ kernels, runs, updates }: MemoryMeasured): MemoryReport {
  const rows = [...updates].map(([load, measured]) => rowOf(load, measured));
  return { kernel: kernels.join(' and '), runs, rows, figures: figuresOf(rows) };
}

/** The report for a person; times in milliseconds. */
export function memoryTable({ kernel, runs, rows, figures }: MemoryReport): string {
  const header = [
    'load',
    ...blackoutParts,
    'all',
    'kexec, old kernel',
    'kexec, next kernel',
    'by 64 MiB',
    '',
  ];
  const lines = rows.map(({ load, parts, wholeMs: all, oldKernelMs, nextKernelMs }) => {
    const ratio = figures.find(({ name }) => name === `blackout ${load}, by 64 MiB`);
    const times = [...blackoutParts.map((part) => parts[part]), all, oldKernelMs, nextKernelMs];
    const note = ratio?.met === false ? `misses ${ratio.target}` : '';
    return [load, ...times.map(shown), shown(ratio?.value ?? null), note];
  });
  const boots = rows.map(({ load, stretches }) => {
    const said = stretches.map(({ what, durationUs }) => `  ${shown(durationUs / 1000)} ms ${what}`);
    return [`${load}: in the boot of the next kernel`, ...said].join('\n');
  });
  return [`Linux ${kernel}, medians of ${runs} updates`, table(header, lines), ...boots].join('\n\n');
}
