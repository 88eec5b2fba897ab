// SPDX-License-Identifier: Apache-2.0
/** What the idle agent costs its host, as JSON and as a table. */
import { type Figure, figure } from '../figures.ts';
import { rounded, shown, table } from '../numbers.ts';
import { type IdleMeasured, signsInAMinute } from './measure.ts';
import type { Resident } from './threads.ts';

/** The most that the idle agent should have in memory, in MiB (`VmRSS`). */
const residentTargetMiB = 70;

export interface IdleReport {
  readonly kernel: string;
  readonly resident: Resident;
  readonly signsOfLife: number;
  readonly wakeUps: number;
  readonly figures: readonly Figure[];
}

export function idleReport({ kernel, resident, wakeUps, signs }: IdleMeasured): IdleReport {
  const mib = (kib: number): number => rounded(kib / 1024, 1);
  const perMinute = rounded((wakeUps / signs) * signsInAMinute, 1);
  return {
    kernel,
    resident,
    signsOfLife: signs,
    wakeUps,
    figures: [
      figure('idle agent, resident', 'MiB', mib(resident.allKiB), residentTargetMiB),
      figure('idle agent, resident, its own memory', 'MiB', mib(resident.ownKiB + resident.sharedKiB), null),
      figure('idle agent, resident, mapped of files', 'MiB', mib(resident.filesKiB), null),
      figure('idle agent, wake-ups a minute', 'times', perMinute, signsInAMinute),
    ],
  };
}

/** The report for a person. */
export function idleTable({ kernel, signsOfLife, figures }: IdleReport): string {
  const rows = figures.map(({ name, unit, value, target, met }) => [
    name,
    shown(value),
    target === null ? '' : `${target}`,
    `${unit}${met === false ? ', missed' : ''}`,
  ]);
  return [
    `Linux ${kernel}, one machine adopted, during ${signsOfLife} signs of life to the service manager`,
    '',
    table(['figure', 'value', 'at most', ''], rows),
  ].join('\n');
}
