// SPDX-License-Identifier: Apache-2.0
/**
 * Finds pauses of the event loop: while something is worked out in one go, nobody can abort, and what has arrived counts
 * as silent.
 *
 * A pause is how long this thread was busy between two turns, not how long that took. So tests on a crowded machine
 * find no more than on an idle one. Waiting in a system call does not count; nothing of the agent waits in one for long
 * but on other threads.
 */

/** The loop may be busy for so long between two turns, in ms. The agent's aim is 50; a test and its double take their share. */
const longestMs = 200;
/** How often a turn is looked at, in ms. */
const everyMs = 10;

export class LoopWatchdog implements Disposable {
  /** How long each pause was, in ms. */
  readonly pauses: number[] = [];
  readonly #timer: NodeJS.Timeout;
  #busyUs = busyUs();

  constructor() {
    this.#timer = setInterval(() => this.#look(), everyMs);
  }

  #look(): void {
    const now = busyUs();
    const ms = (now - this.#busyUs) / 1000;
    this.#busyUs = now;
    if (ms > longestMs) this.pauses.push(Math.round(ms));
  }

  /** Ends it; a pause up to now counts. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#look();
  }
}

/** How long the processor has worked for this thread, in µs. */
function busyUs(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

/**
 * Does something and throws if it held up the event loop.
 *
 * @throws Error with the pauses
 */
export async function withoutPauses(work: () => Promise<void>): Promise<void> {
  const watchdog = new LoopWatchdog();
  try {
    await work();
  } finally {
    watchdog[Symbol.dispose]();
  }
  const { pauses } = watchdog;
  if (pauses.length > 0)
    throw new Error(`the event loop was held up for ${pauses.join(', ')} ms, expected at most ${longestMs}`);
}
