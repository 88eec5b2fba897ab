// SPDX-License-Identifier: Apache-2.0
/**
 * What the kernel says of the agent while it does nothing: its memory, and how often its threads went to sleep. A thread
 * that goes to sleep was woken before, so that counts the wake-ups (`voluntary_ctxt_switches` in proc_pid_status(5)).
 */

/** Memory of a process, in KiB. */
export interface Resident {
  /** `VmRSS`. */
  readonly allKiB: number;
  /** `RssAnon`: its own, which nobody else has and the kernel cannot drop. */
  readonly ownKiB: number;
  /** `RssFile`: pages of the page cache that are mapped at the moment, of its program and libraries. */
  readonly filesKiB: number;
  /** `RssShmem`. */
  readonly sharedKiB: number;
}

/** How often each thread went to sleep, by its number. */
export type Sleeps = ReadonlyMap<number, number>;

/** @param status of `/proc/PID/status` @throws Error for a field that is not there */
export function readResident(status: string): Resident {
  const field = (name: string): number => {
    const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1];
    if (found === undefined) throw new Error(`no ${name} in the status of the process:\n${status}`);
    return Number(found);
  };
  return {
    allKiB: field('VmRSS'),
    ownKiB: field('RssAnon'),
    filesKiB: field('RssFile'),
    sharedKiB: field('RssShmem'),
  };
}

/** @param text a line `THREAD TIMES` for each thread @throws Error for any other line, or if there is none */
export function readSleeps(text: string): Sleeps {
  const lines = text.trim().split('\n');
  return new Map(
    lines.map((line) => {
      const match = /^(\d+) (\d+)$/.exec(line);
      if (!match) throw new Error(`line "${line}", expected the number of a thread and how often it slept`);
      return [Number(match[1]), Number(match[2])];
    }),
  );
}

/**
 * How often any thread was woken between two looks. A thread that came meanwhile counts with all of its own.
 *
 * @throws Error if a thread has ended: how often it was woken is not known
 */
export function wakeUps(before: Sleeps, after: Sleeps): number {
  for (const thread of before.keys())
    if (!after.has(thread)) throw new Error(`thread ${thread} has ended between two looks`);
  return [...after].reduce((sum, [thread, times]) => sum + times - (before.get(thread) ?? 0), 0);
}
