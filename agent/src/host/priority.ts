// SPDX-License-Identifier: Apache-2.0
/**
 * Coming first on the processors, while machines are stopped. The VMMs keep all processors busy then: they save their
 * states. This process has little to do, but as long as it waits for its turn every machine waits.
 */
import { readdirSync, writeFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/** The nice value that comes before all others (sched(7)). */
export const firstNice = -20;

/**
 * Puts the threads of another process back to where they were, if its first thread comes first.
 *
 * @param nice where they were
 * @throws SystemError EACCES, EPERM if that is not allowed, ESRCH if it has ended
 */
export function standBack(proc: string, pid: number, nice: number): void {
  if (getPriority(pid) === firstNice && nice !== firstNice) setAll(`${proc}/${pid}`, pid, nice);
}

/**
 * Puts every thread of this process before those of others. Threads that it starts later come first as well. Needs
 * `LimitNICE=`. Where the kernel groups processes by session, the group is put first too (sched(7), autogroup).
 *
 * @param proc where procfs is mounted
 * @returns puts them back to where this thread was
 * @throws SystemError EACCES, EPERM if that is not allowed; nothing is changed then
 */
export function comeFirst(proc: string): () => void {
  const before = getPriority();
  const own = `${proc}/self`;
  setAll(own, process.pid, firstNice);
  return () => setAll(own, process.pid, before);
}

/** @param directory the process's in procfs */
function setAll(directory: string, pid: number, nice: number): void {
  // The first one has the process's number: if it may not be changed, none may.
  for (const thread of readdirSync(`${directory}/task`)) {
    try {
      setPriority(Number(thread), nice);
    } catch (error) {
      if (Number(thread) === pid) throw error;
      // Another thread that has ended meanwhile needs no turn.
    }
  }
  try {
    writeFileSync(`${directory}/autogroup`, `${nice}\n`);
  } catch {
    // This kernel has no such groups.
  }
}
