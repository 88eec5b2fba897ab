// SPDX-License-Identifier: Apache-2.0
/** Where a process is among the control groups that the service manager makes. */
import { readFileSync } from 'node:fs';

/** A process's control group of version 2 (cgroups(7), `/proc/PID/cgroup`), as its names from the outermost one on. */
export interface ControlGroup {
  /** Those of slices. */
  readonly slices: readonly string[];
  /** That of its unit; null if it is in none. */
  readonly unit: string | null;
  /** Those below its unit, which whoever the unit was delegated to has made. */
  readonly below: readonly string[];
}

/**
 * The control group of a process. Its unit is the first group that is no slice, as for the service manager: what is
 * called a slice further below is somebody else's.
 *
 * @param proc where procfs is mounted
 * @returns null if the host has no control groups of version 2
 * @throws Error if there is no such process
 */
export function controlGroupOf(proc: string, pid: number): ControlGroup | null {
  const path = /^0::\/(.*)$/m.exec(readFileSync(`${proc}/${pid}/cgroup`, 'utf8'))?.[1];
  if (path === undefined) return null;
  const names = path.split('/');
  const level = names.findIndex((name) => !name.endsWith('.slice'));
  if (level < 0) return { slices: names, unit: null, below: [] };
  return { slices: names.slice(0, level), unit: names[level] || null, below: names.slice(level + 1) };
}

/**
 * Whether a process is in a unit, or in a group below it.
 *
 * @param unit with its suffix
 * @throws Error if there is no such process
 */
export const isInUnit = (proc: string, pid: number, unit: string): boolean =>
  controlGroupOf(proc, pid)?.unit === unit;
