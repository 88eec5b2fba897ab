// SPDX-License-Identifier: Apache-2.0
/** What the comparison of many descriptors found: one row for each count and operation, as JSON and as a table. */
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
  };
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
