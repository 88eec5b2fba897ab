// SPDX-License-Identifier: Apache-2.0
/**
 * The lines that a counting guest printed on its serial console, checked independently. Every sum is worked out again
 * from the rule in lab/guest/pattern.h. The guest's own verdict is one more witness, not the judge.
 */

/** How a guest introduces itself, in its first line. Sizes are in bytes. */
export interface GuestTerms {
  readonly tag: string;
  readonly memory: number;
  readonly slice: number;
  readonly seed: number;
}

/** One line of it; `bootNs` is its clock, `shared` the count of the machine that it shares memory with. */
export interface GuestLine {
  readonly count: number;
  readonly bootNs: number;
  readonly sum: number;
  readonly shared: number | null;
  readonly right: boolean;
}

export interface GuestLog {
  /** One for each time it started: one, if all is well. */
  readonly starts: readonly GuestTerms[];
  readonly lines: readonly GuestLine[];
  /** Whatever came after its introduction and is no line of its. */
  readonly strange: readonly string[];
}

/** What is wrong with a guest's lines, and what there is to say of them; nothing is wrong if all lists are empty. */
export interface GuestReport {
  readonly lines: number;
  readonly lastCount: number;
  readonly starts: number;
  readonly missing: readonly number[];
  readonly repeated: readonly number[];
  /** Counts at which the guest itself found its memory wrong. */
  readonly bad: readonly number[];
  /** Counts at which its sum is not what the rule says. */
  readonly wrongSum: readonly number[];
  /** Counts at which its clock was not later than at the count before. */
  readonly clockBack: readonly number[];
  /** Counts at which what it reads in shared memory went back. */
  readonly sharedBack: readonly number[];
  readonly strange: readonly string[];
  /** The longest time between two counts by the guest's own clock, and the count that came after it. */
  readonly largestGapNs: number;
  readonly largestGapAt: number;
}

const sumStep = 0x9e3779b1;
const startLine = /^guest tag=(\S*) memory=(\d+) slice=(\d+) seed=([0-9a-f]{8})$/;
const countLine = /^count=(\d+) boot=(\d+) sum=([0-9a-f]{8})(?: shared=(\d+))? (ok|BAD)$/;

/** Reads a console's log. What stands before the guest's introduction is its firmware's and its kernel's. */
export function readGuestLog(text: string): GuestLog {
  const starts: GuestTerms[] = [];
  const lines: GuestLine[] = [];
  const strange: string[] = [];
  // What follows the last line break is still being written.
  for (const row of text.split('\n').slice(0, -1)) {
    const line = row.replace(/\r+$/, '');
    const start = startLine.exec(line);
    const counted = countLine.exec(line);
    if (start) {
      const [, tag = '', memory, slice, seed = ''] = start;
      starts.push({ tag, memory: Number(memory), slice: Number(slice), seed: Number.parseInt(seed, 16) });
    } else if (counted) {
      const [, count, boot, sum = '', shared, verdict] = counted;
      lines.push({
        count: Number(count),
        bootNs: Number(boot),
        sum: Number.parseInt(sum, 16),
        shared: shared === undefined ? null : Number(shared),
        right: verdict === 'ok',
      });
    } else if (starts.length > 0 && line !== '') strange.push(line);
  }
  return { starts, lines, strange };
}

function start(seed: number, generation: number): number {
  let value = (seed + Math.imul(generation, 0x85ebca6b)) | 0;
  value = Math.imul(value ^ (value >>> 16), 0x7feb352d);
  value = Math.imul(value ^ (value >>> 15), 0x846ca68b);
  return value ^ (value >>> 16);
}

/**
 * The running sum after each count from 0 to `last`.
 *
 * @returns unsigned 32-bit numbers, by count
 */
export function expectedSums({ memory, slice, seed }: GuestTerms, last: number): Uint32Array {
  const sums = new Uint32Array(last + 1);
  const slices = memory / slice;
  const words = slice / 4;
  let sum = seed | 0;
  for (let count = 0; count <= last; count += 1) {
    let value = (start(seed, Math.floor(count / slices)) + Math.imul((count % slices) * words, sumStep)) | 0;
    for (let word = 0; word < words; word += 1) {
      sum = (((sum << 5) | (sum >>> 27)) + value) | 0;
      value = (value + sumStep) | 0;
    }
    sums[count] = sum;
  }
  return sums;
}

/**
 * Compares a guest's lines with what they must be.
 *
 * @throws Error when it did not even introduce itself and count once
 */
export function checkGuest({ starts, lines, strange }: GuestLog): GuestReport {
  const [terms] = starts;
  const [first] = lines;
  if (!terms || !first)
    throw new Error(`no count in the guest's log: ${strange.join('\n') || 'it is empty'}`);
  const lastCount = lines.reduce((most, { count }) => Math.max(most, count), 0);
  const sums = expectedSums(terms, lastCount);
  const seen = new Set<number>();
  const repeated: number[] = [];
  for (const { count } of lines) {
    if (seen.has(count)) repeated.push(count);
    seen.add(count);
  }
  const pairs = lines.slice(1).map((line, index) => ({ line, before: lines[index] ?? line }));
  const countsOf = (wrong: (pair: (typeof pairs)[number]) => boolean): number[] =>
    pairs.filter(wrong).map(({ line }) => line.count);
  const gaps = pairs.map(({ line, before }) => ({ ns: line.bootNs - before.bootNs, at: line.count }));
  const largest = gaps.reduce((most, gap) => (gap.ns > most.ns ? gap : most), { ns: 0, at: first.count });
  return {
    lines: lines.length,
    lastCount,
    starts: starts.length,
    missing: Array.from({ length: lastCount + 1 }, (_, count) => count).filter((count) => !seen.has(count)),
    repeated,
    bad: lines.filter(({ right }) => !right).map(({ count }) => count),
    wrongSum: lines.filter(({ count, sum }) => sums[count] !== sum).map(({ count }) => count),
    clockBack: countsOf(({ line, before }) => line.bootNs <= before.bootNs),
    sharedBack: countsOf(({ line, before }) => (line.shared ?? 0) < (before.shared ?? 0)),
    strange,
    largestGapNs: largest.ns,
    largestGapAt: largest.at,
  };
}

/** What a report of a guest that lost nothing says; the rest of it is only to be told. */
export const unharmedReport = {
  starts: 1,
  missing: [],
  repeated: [],
  bad: [],
  wrongSum: [],
  clockBack: [],
  sharedBack: [],
  strange: [],
} as const;
