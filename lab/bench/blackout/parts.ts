// SPDX-License-Identifier: Apache-2.0
/**
 * What a blackout consists of, and how the machines of one update become one row of figures. Every machine says when
 * each part was over for it. For the host a part is over when it is over for the last machine. It begins when the part
 * before is over. So the parts of one update add up to its blackout, from the first machine that stops to the last that
 * runs.
 */
import { BlackoutPart } from '@luo-console/agent/interface';
import { median } from '../numbers.ts';

/** The parts, in their order. */
export const blackoutParts = BlackoutPart.options;
export type Part = BlackoutPart;

/** What depends on the kernel alone: the same for everybody who does the update. */
export const kernelParts: ReadonlySet<Part> = new Set<Part>(['kexec', 'boot']);

/** When each part was over for one machine, in microseconds since the first machine was stopped. */
export type PartEnds = Readonly<Record<Part, number>>;

/** How long each part took, in milliseconds. */
export type PartTimes = Readonly<Record<Part, number>>;

/** How many machines, of how much memory each. */
export interface Load {
  readonly guests: number;
  readonly memoryMiB: number;
}

/** All loads, and the only one of a quick run. */
export const allLoads: readonly Load[] = [
  { guests: 1, memoryMiB: 64 },
  { guests: 4, memoryMiB: 64 },
  { guests: 8, memoryMiB: 64 },
  { guests: 1, memoryMiB: 512 },
  { guests: 1, memoryMiB: 1024 },
];
export const quickLoads: readonly Load[] = allLoads.slice(0, 1);

/** Measured updates by load. */
export type Measured = ReadonlyMap<Load, readonly PartTimes[]>;

function fromParts(value: (part: Part) => number): PartTimes {
  return Object.fromEntries(blackoutParts.map((part) => [part, value(part)])) as Record<Part, number>;
}

/**
 * One update of several machines as the host sees it.
 *
 * @param machines at least one
 */
export function timesOf(machines: readonly PartEnds[]): PartTimes {
  let before = 0;
  return fromParts((part) => {
    const end = Math.max(before, ...machines.map((ends) => ends[part]));
    const took = (end - before) / 1000;
    before = end;
    return took;
  });
}

/** The median of each part over several updates. */
export function medianTimes(updates: readonly PartTimes[]): PartTimes {
  return fromParts((part) => median(updates.map((times) => times[part])));
}
