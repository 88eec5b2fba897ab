// SPDX-License-Identifier: Apache-2.0
/** What the comparison of many descriptors found: one row for each count and operation, as JSON and as a table. */
import { figure, type Figure as NamedFigure } from '../figures.ts';
import { ratioOf, rounded, shown, table } from '../numbers.ts';

/** How long a series took in milliseconds, or why there is no figure. */
export type Figure = number | { readonly reason: string };

/** The measured times of one count of descriptors. */
export interface Row {
  readonly operation: 'preserve' | 'retrieve';
  readonly count: number;
  readonly c: number;
  readonly addon: number;
  readonly agent: Figure;
}

/** The addon should cost no more than this, compared with C. */
export const addonTarget = 1.1;
/** The same for a single descriptor, which is bound by the way to libuv's thread and back. */
const addonSingleTarget = 2;
/** A descriptor through the agent should take no longer than this, in ms, where there are many. */
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
    readonly agentMs: number | null;
    readonly agentRatio: number | null;
    /** Why there is no figure for the agent; null if there is one. */
    readonly agentReason: string | null;
  }[];
  readonly figures: readonly NamedFigure[];
}

/** @param kernel release of the kernel in which descriptors were preserved */
export function descriptorsReport(kernel: string, rows: readonly Row[]): DescriptorsReport {
  return {
    kernel,
    descriptors: rows.map(({ operation, count, c, addon, agent }) => {
      const agentMs = typeof agent === 'number' ? agent : null;
      return {
        operation,
        count,
        cMs: rounded(c),
        addonMs: rounded(addon),
        addonRatio: ratioOf(addon, c),
        agentMs: agentMs === null ? null : rounded(agentMs),
        agentRatio: ratioOf(agentMs, c),
        agentReason: typeof agent === 'number' ? null : agent.reason,
      };
    }),
    figures: rows.flatMap(figuresOf),
  };
}

function figuresOf({ operation, count, c, addon, agent }: Row): NamedFigure[] {
  const what = `${operation} ${count === 1 ? '1 descriptor' : `${count} descriptors`}`;
  const addonMost = count === 1 ? addonSingleTarget : addonTarget;
  const each = typeof agent === 'number' ? rounded(agent / count) : null;
  return [
    figure(`${what} through the addon`, 'ratio', ratioOf(addon, c), addonMost),
    figure(`${what} through the agent, each`, 'ms', each, count >= agentTargetCount ? agentTargetMs : null),
  ];
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
    (each.addonRatio ?? 0) > addonTarget ? `addon misses ${addonTarget}` : '',
  ]);
  const header = ['operation', 'memfds', 'C ms', 'addon ms', '× C', 'agent ms', '× C', ''];
  const reasons = descriptors.flatMap(({ operation, count, agentReason }) =>
    agentReason === null ? [] : [`${operation} ${count} through the agent: not measured, ${agentReason}`],
  );
  return [`Linux ${kernel}, memfds of one page, medians`, '', table(header, rows), ...reasons].join('\n');
}
