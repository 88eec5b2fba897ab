// SPDX-License-Identifier: Apache-2.0
/** The control group of a process. */
import { readFileSync } from 'node:fs';

/**
 * Whether a process is in a control group of version 2, or below it (cgroups(7), `/proc/PID/cgroup`).
 *
 * @param proc where procfs is mounted
 * @param group absolute, as below the mount of cgroup2
 * @throws Error if there is no such process
 */
export function isInControlGroup(proc: string, pid: number, group: string): boolean {
  const path = /^0::(\/.*)$/m.exec(readFileSync(`${proc}/${pid}/cgroup`, 'utf8'))?.[1];
  return path !== undefined && `${path}/`.startsWith(`${group}/`);
}
