// SPDX-License-Identifier: Apache-2.0
/**
 * A process that somebody wrote down by its number. The number may belong to another process by now. So the agent opens
 * a pidfd, and looks at the process before it does anything to it.
 */
import { readFileSync } from 'node:fs';
import type { Descriptor, Native } from '@luo-console/native';
import { errnoOf } from './refusal.ts';
import { whenReady } from './waiting.ts';

export interface KnownProcess extends Disposable {
  readonly pid: number;
  readonly pidfd: Descriptor;
}

/**
 * @param is whether the process of that number is the right one, as procfs shows it
 * @returns null if it is not, or there is no such process. The caller closes it.
 */
export function openKnown(native: Native, pid: number, is: (pid: number) => boolean): KnownProcess | null {
  let pidfd: Descriptor;
  try {
    pidfd = native.descriptors.pidfdOpen(pid);
  } catch (error) {
    // EINVAL: the number belongs to a thread, not to a process.
    if (['ESRCH', 'EINVAL'].includes(errnoOf(error) ?? '')) return null;
    throw error;
  }
  const known = { pid, pidfd, [Symbol.dispose]: () => pidfd.close() };
  // What procfs showed was said of this very process only if it still has its number.
  if (is(pid) && hasNumber(known)) return known;
  pidfd.close();
  return null;
}

/**
 * Ends a process with SIGKILL and waits until it has ended. One that has ended already is no error.
 *
 * @param limitMs how long to wait
 * @returns whether it has ended
 * @throws Error of kill(2) other than ESRCH
 */
export async function endKnown(native: Native, known: KnownProcess, limitMs: number): Promise<boolean> {
  try {
    if (hasNumber(known)) process.kill(known.pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(new Error('it did not end in time')), limitMs);
  const { sockets } = native;
  try {
    await whenReady(sockets, known.pidfd, sockets.POLL_READABLE, over.signal);
    return true;
  } catch (error) {
    if (over.signal.aborted) return false;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Whether the number still belongs to the process: a pidfd shows -1 once that is gone for good
 * (`pidfd_show_fdinfo`, `fs/pidfs.c`). As long as it is there nobody else gets the number.
 */
function hasNumber({ pid, pidfd }: Pick<KnownProcess, 'pid' | 'pidfd'>): boolean {
  const facts = readFileSync(`/proc/self/fdinfo/${pidfd.fd}`, 'latin1');
  return /^Pid:\t(-?\d+)$/m.exec(facts)?.[1] === String(pid);
}
