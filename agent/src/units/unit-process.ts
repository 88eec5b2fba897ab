// SPDX-License-Identifier: Apache-2.0
/**
 * The process of a machine's unit, as the kernel's control groups show it. Asking the service manager would cost another
 * program. The unit of a machine that the carrier brought back has the carrier's relay in it, too, for as long as the
 * VMM lives. And it is delegated to the machine's user, so the VMM may be in a group below it.
 */
import { opendirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { runsCarrier } from '../host/carrier-process.ts';
import type { HostPaths } from '../host/paths.ts';
import { readBounded } from '../host/read-bounded.ts';
import { machineGroup } from './machine-unit.ts';
import type { Resources } from './resources.ts';

/** How long to wait for the process to appear, and how often to look, in ms: nothing tells. */
const appearMs = 2000;
const lookMs = 5;

/** Bounds for what a machine's user can make there: bytes of a list, groups, and entries of a group. */
const mostBytes = 65_536;
const mostGroups = 64;
const mostEntries = 1024;

/**
 * The VMM of a machine that was started.
 *
 * @param paths where sysfs and procfs are mounted, and the carrier is
 * @param resources where its unit is
 * @param waitMs how long to wait for one that is being started
 * @param second as for `unitNamed`
 * @returns null if the machine does not run
 */
export async function machineUnitPid(
  name: string,
  paths: Pick<HostPaths, 'sys' | 'proc' | 'carrier'>,
  resources: Pick<Resources, 'slice'> | null,
  waitMs = appearMs,
  second = false,
): Promise<number | null> {
  const group = `${paths.sys}/fs/cgroup${machineGroup(name, resources, second)}`;
  for (let waited = 0; ; waited += lookMs) {
    const pid = firstIn(group, paths);
    if (pid !== null) return pid;
    if (waited >= waitMs) return null;
    await pause(lookMs);
  }
}

/**
 * The processes of a control group, without those of groups below it.
 *
 * @param group as below the mount of cgroup2
 * @throws Error if there is no such group
 */
export const processesIn = ({ sys }: Pick<HostPaths, 'sys'>, group: string): number[] =>
  pidsIn(`${sys}/fs/cgroup${group}`);

/** The first process of a group or of one below it that is not the carrier's. Read at once: a guest may be waiting. */
function firstIn(unit: string, paths: Pick<HostPaths, 'proc' | 'carrier'>): number | null {
  const groups = [unit];
  // It grows while it is gone through: the outer groups come first.
  for (const group of groups) {
    try {
      const found = pidsIn(group).find((pid) => !runsCarrier(paths, pid));
      if (found !== undefined) return found;
      groups.push(...groupsIn(group, mostGroups - groups.length));
    } catch {
      // It is not there, or not any more.
    }
  }
  return null;
}

/** @throws Error of open(2) or read(2) */
function pidsIn(group: string): number[] {
  const { text } = readBounded(join(group, 'cgroup.procs'), mostBytes) ?? { text: '' };
  // A line that was cut off would be another number.
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  return whole
    .split('\n')
    .map(Number)
    .filter((pid) => pid > 0);
}

/** @throws Error of opendir(3) or readdir(3) */
function groupsIn(group: string, most: number): string[] {
  const found: string[] = [];
  const directory = opendirSync(group);
  try {
    for (let count = 0; count < mostEntries && found.length < most; count += 1) {
      const entry = directory.readSync();
      if (entry === null) break;
      if (entry.isDirectory()) found.push(join(group, entry.name));
    }
  } finally {
    directory.closeSync();
  }
  return found;
}
