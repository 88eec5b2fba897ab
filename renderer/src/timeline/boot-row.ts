// SPDX-License-Identifier: Apache-2.0
/** What a timeline shows of the next kernel's own boot: one row for the host, below the lanes of its machines. */
import type { BootStretch, Update } from '@luo-console/agent/interface';
import { preciseDuration } from '../format/quantity.ts';
import { firstSuspended } from '../state/machine-runs.ts';
import type { LegendItem } from './drawing.ts';
import type { Span } from './span.ts';

export interface BootBlock extends Span {
  what: string;
  /** The letter under which the legend and the table name it. */
  key: string;
}

export interface BootRow {
  /** All of the kernel's boot. */
  whole: Span;
  blocks: BootBlock[];
}

/** Longer words have a row of the legend to themselves, in characters. */
const besideOthers = 44;

/** A letter for each stretch that has a place in time; null for what is left between them. */
export function bootKeys(stretches: readonly BootStretch[]): (string | null)[] {
  let next = 0;
  return stretches.map(({ startedAtUs }) => {
    if (startedAtUs === null) return null;
    next += 1;
    return String.fromCharCode('A'.charCodeAt(0) + next - 1);
  });
}

/** `mounting the root file system 0.058 s` */
export const stretchWords = ({ what, durationUs }: Pick<BootStretch, 'what' | 'durationUs'>): string =>
  `${what} ${preciseDuration(durationUs)}`;

/** Where the boot lies in time. Null if its log told nothing, or no machine has a part *boot*, which says when it began. */
export function bootRow({
  bootStretches,
  machines,
}: Pick<Update, 'bootStretches' | 'machines'>): BootRow | null {
  const firstUs = firstSuspended(machines);
  const boot = machines.flatMap(({ parts }) => parts.filter(({ part }) => part === 'boot'))[0];
  if (!bootStretches || bootStretches.length === 0 || firstUs === null || boot === undefined) return null;
  const startUs = firstUs + boot.startedAtUs;
  const keys = bootKeys(bootStretches);
  const blocks = bootStretches.flatMap(({ what, startedAtUs, durationUs }, at): BootBlock[] => {
    const key = keys[at] ?? null;
    if (startedAtUs === null || key === null) return [];
    return [{ what, key, startUs: startUs + startedAtUs, endUs: startUs + startedAtUs + durationUs }];
  });
  const lengthUs = bootStretches.reduce((sum, { durationUs }) => sum + durationUs, 0);
  // An agent's figures are drawn as they are, and no block lies outside.
  const endUs = Math.max(startUs + lengthUs, ...blocks.map((block) => block.endUs));
  return { whole: { startUs, endUs }, blocks };
}

/** A line of the legend for each block. */
export function bootItems(row: BootRow | null): LegendItem[] {
  return (row?.blocks ?? []).map(({ what, key, startUs, endUs }) => {
    const words = stretchWords({ what, durationUs: endUs - startUs });
    return { kind: 'boot', text: key, words, alone: words.length > besideOthers };
  });
}
