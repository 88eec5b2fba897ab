// SPDX-License-Identifier: Apache-2.0
/** What the blackout consists of, the agent's beside the floor's, as JSON and as a table. */
import { type Figure, figure } from '../figures.ts';
import { ratioOf, rounded, shown, table } from '../numbers.ts';
import { blackoutParts, kernelParts, type Load, type Measured, medianTimes, type Part } from './parts.ts';

/** In parts that userspace owns, the agent should take no longer than this times the floor. */
export const targetRatio = 1.15;
/** The whole blackout should take no longer than this times the floor. */
const wholeTarget = 1.1;
/** The floor is init itself; userspace should take no longer than this beyond it, in ms. */
const userspaceTargetMs = 30;

export interface BlackoutMeasured {
  /** Releases of the two kernels. */
  readonly kernels: readonly string[];
  readonly runs: number;
  readonly agent: Measured;
  readonly floor: Measured;
}

export interface PartRow {
  readonly part: Part;
  readonly guests: number;
  readonly memoryMiB: number;
  /** Medians; null if it was not measured. */
  readonly agentMs: number | null;
  readonly floorMs: number | null;
  /** Null where there is nothing to compare with. */
  readonly ratio: number | null;
  /** Why the ratio is null, or that the part misses its target; null otherwise. */
  readonly note: string | null;
}

export interface BlackoutReport {
  readonly kernel: string;
  readonly runs: number;
  readonly parts: readonly PartRow[];
  readonly figures: readonly Figure[];
}

/** The floor has no userspace to wait for: what is left of that part there is no measure for anybody. */
const noUserspace = 'the floor is init itself';

function noteOf(part: Part, ratio: number | null): string | null {
  if (part === 'userspace') return noUserspace;
  if (ratio === null) return 'not measured on both sides';
  if (ratio <= targetRatio) return null;
  return kernelParts.has(part) ? "the kernel's part, no target" : `misses ${targetRatio}`;
}

export function blackoutReport({ kernels, runs, agent, floor }: BlackoutMeasured): BlackoutReport {
  const loads: readonly Load[] = [...floor.keys()];
  const parts = loads.flatMap((load) => {
    const [ours, least] = [agent.get(load), floor.get(load)].map((updates) =>
      updates === undefined || updates.length === 0 ? null : medianTimes(updates),
    );
    return blackoutParts.map((part): PartRow => {
      const agentMs = ours ? rounded(ours[part]) : null;
      const floorMs = least ? rounded(least[part]) : null;
      const ratio = part === 'userspace' ? null : ratioOf(agentMs, floorMs);
      return { part, ...load, agentMs, floorMs, ratio, note: noteOf(part, ratio) };
    });
  });
  return { kernel: kernels.join(' and '), runs, parts, figures: figuresOf(parts) };
}

/** The sum of one column; null if a part of it was not measured. */
function total(rows: readonly PartRow[], of: (row: PartRow) => number | null): number | null {
  return rows.map(of).reduce((sum, value) => (sum === null || value === null ? null : sum + value), 0);
}

const loadsOf = (parts: readonly PartRow[]): PartRow[][] => [
  ...Map.groupBy(parts, ({ guests, memoryMiB }) => `${guests} ${memoryMiB}`).values(),
];

/** Each part against the floor, and the whole, for each load. */
function figuresOf(parts: readonly PartRow[]): Figure[] {
  return loadsOf(parts).flatMap((rows) => {
    const { guests = 0, memoryMiB = 0 } = rows[0] ?? {};
    const name = (what: string): string => `blackout ${what}, ${guests} × ${memoryMiB} MiB`;
    const all = ratioOf(
      total(rows, (row) => row.agentMs),
      total(rows, (row) => row.floorMs),
    );
    return [
      ...rows.map(({ part, agentMs, floorMs, ratio }) => {
        if (part !== 'userspace')
          return figure(name(part), 'ratio', ratio, kernelParts.has(part) ? null : targetRatio);
        const beyond = agentMs === null || floorMs === null ? null : rounded(agentMs - floorMs);
        return figure(name('userspace beyond the floor'), 'ms', beyond, userspaceTargetMs);
      }),
      figure(name('whole'), 'ratio', all, wholeTarget),
    ];
  });
}

/** Rows of one load, and a last one for all of its parts together. */
function rowsOf(rows: readonly PartRow[]): string[][] {
  const agentMs = total(rows, (row) => row.agentMs);
  const floorMs = total(rows, (row) => row.floorMs);
  const load = ({ guests, memoryMiB }: Load): string[] => [`${guests}`, `${memoryMiB}`];
  const [first] = rows;
  return [
    ...rows.map((row) => [
      row.part,
      ...load(row),
      shown(row.agentMs),
      shown(row.floorMs),
      shown(row.ratio),
      row.note ?? '',
    ]),
    [
      'all',
      ...(first ? load(first) : []),
      shown(agentMs),
      shown(floorMs),
      shown(ratioOf(agentMs, floorMs)),
      '',
    ],
  ];
}

/** The report for a person; times in milliseconds. */
export function blackoutTable({ kernel, runs, parts }: BlackoutReport): string {
  const header = ['part', 'guests', 'MiB', 'agent ms', 'floor ms', 'ratio', ''];
  const sections = loadsOf(parts).map((rows) => table(header, rowsOf(rows)));
  return [`Linux ${kernel}, medians of ${runs} updates`, ...sections].join('\n\n');
}
