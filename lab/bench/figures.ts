// SPDX-License-Identifier: Apache-2.0
/** Figures with their targets, the same form for every benchmark, for a program that compares runs. */

/** One measured figure. */
export interface Figure {
  readonly name: string;
  /** Null if it was not measured. */
  readonly value: number | null;
  /** `ratio` is against the floor of the same run. */
  readonly unit: 'ms' | 'ratio' | 'MiB' | 'times';
  /** The most it should be; null if there is no target. */
  readonly target: number | null;
  /** Whether it is no more than its target; null if there is nothing to say. */
  readonly met: boolean | null;
}

/** @param target the most it should be; null for none */
export function figure(
  name: string,
  unit: Figure['unit'],
  value: number | null,
  target: number | null,
): Figure {
  return { name, value, unit, target, met: value === null || target === null ? null : value <= target };
}
