// SPDX-License-Identifier: Apache-2.0
/** What the comparison of many descriptors found: one row for each count and operation, as JSON and as a table. */
import { figure, type Figure as NamedFigure } from '../figures.ts';
import { ratioOf, rounded, shown, table } from '../numbers.ts';

/** The measured times of one count of descriptors, in ms for all of them. */
export interface Row {
  readonly operation: 'preserve' | 'retrieve';
  readonly count: number;
  readonly c: number;
  readonly addon: number;
  readonly agent: number;
}

/** The addon should cost no more than this, compared with C. */
export const addonTarget = 1.1;
/** The same for a single descriptor, which is bound by the way to libuv's thread and back. */
const addonSingleTarget = 2;
/** A descriptor through the agent should take no longer than this, in ms, where there are so many. */
const agentTargetMs = 2;
const agentTargetCount = 1000;

export interface DescriptorsReport {
  readonly kernel: string;
  readonly descriptors: readonly {
    readonly operation: Row['operation'];
    readonly count: number;
    readonly cMs: number;
    readonly addonMs: number;
    readonly addonRatio: number | null;
    readonly agentMs: number;
    readonly agentRatio: number | null;
  }[];
  readonly figures: readonly NamedFigure[];
}

/**
 * @param kernel release of the kernel in which descriptors were preserved
 * @param missing descriptors that the agent did not get back, by their count in a session
 */
export function descriptorsReport(
  kernel: string,
  rows: readonly Row[],
  missing: ReadonlyMap<number, number>,
): DescriptorsReport {
  return {
    kernel,
    descriptors: rows.map(({ operation, count, c, addon, agent }) => ({
      operation,
      count,
      cMs: rounded(c),
      addonMs: rounded(addon),
      addonRatio: ratioOf(addon, c),
      agentMs: rounded(agent),
      agentRatio: ratioOf(agent, c),
    })),
    figures: [
      ...rows.flatMap(figuresOf),
      ...[...missing].map(([count, absent]) =>
        figure(`of ${described(count)} through the agent, missing in the next kernel`, 'times', absent, 0),
      ),
    ],
  };
}

const described = (count: number): string => (count === 1 ? '1 descriptor' : `${count} descriptors`);

function figuresOf({ operation, count, c, addon, agent }: Row): NamedFigure[] {
  const what = `${operation} ${described(count)}`;
  const addonMost = count === 1 ? addonSingleTarget : addonTarget;
  const most = count >= agentTargetCount ? agentTargetMs : null;
  return [
    figure(`${what} through the addon`, 'ratio', ratioOf(addon, c), addonMost),
    figure(`${what} through the agent, each`, 'ms', rounded(agent / count), most),
  ];
}

/** What of a row misses its target, in words. */
function missed({ count, addonRatio }: DescriptorsReport['descriptors'][number]): string {
  const most = count === 1 ? addonSingleTarget : addonTarget;
  return (addonRatio ?? 0) > most ? `addon misses ${most}` : '';
}

/** The report for a person; times in milliseconds for the whole series. */
export function descriptorsTable({ kernel, descriptors }: DescriptorsReport): string {
  const rows = descriptors.map((each) => [
    each.operation,
    `${each.count}`,
    shown(each.cMs),
    shown(each.addonMs),
    shown(each.addonRatio),
    shown(each.agentMs),
    shown(each.agentRatio),
    missed(each),
  ]);
  const header = ['operation', 'memfds', 'C ms', 'addon ms', '× C', 'agent ms', '× C', ''];
  return [`Linux ${kernel}, memfds of one page, medians`, '', table(header, rows)].join('\n');
}
