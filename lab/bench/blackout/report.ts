// SPDX-License-Identifier: Apache-2.0
/** What the blackout consists of, the agent's beside the floor's, as JSON and as a table. */
import { ratioOf, rounded, shown, table } from '../numbers.ts';
import { blackoutParts, kernelParts, type Load, type Measured, medianTimes, type Part } from './parts.ts';

/** In parts that userspace owns, the agent should take no longer than this times the floor. */
export const targetRatio = 1.15;

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
  return { kernel: kernels.join(' and '), runs, parts };
}

/** Rows of one load, and a last one for all of its parts together. */
function rowsOf(rows: readonly PartRow[]): string[][] {
  const total = (of: (row: PartRow) => number | null): number | null => {
    const values = rows.map(of);
    return values.reduce((sum, value) => (sum === null || value === null ? null : sum + value), 0);
  };
  const agentMs = total((row) => row.agentMs);
  const floorMs = total((row) => row.floorMs);
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
  const loads = Map.groupBy(parts, ({ guests, memoryMiB }) => `${guests} ${memoryMiB}`);
  const header = ['part', 'guests', 'MiB', 'agent ms', 'floor ms', 'ratio', ''];
  const sections = [...loads.values()].map((rows) => table(header, rowsOf(rows)));
  return [`Linux ${kernel}, medians of ${runs} updates`, ...sections].join('\n\n');
}
