// SPDX-License-Identifier: Apache-2.0
/**
 * Doing beforehand what will be done while machines are stopped. V8 makes machine code only of what has run often. On a
 * fast processor the first time takes 12 ms, the tenth 1 ms and the thirtieth a third of that.
 */
import { setImmediate } from 'node:timers/promises';

/** How often it is done, and for how long at most, in ms. */
const times = 40;
const limitMs = 2000;

/**
 * Does something again and again. Calls are answered in between.
 *
 * @param signal ends it early
 * @throws what it throws
 */
export async function warmUp(work: () => void, signal: AbortSignal): Promise<void> {
  const until = performance.now() + limitMs;
  for (let time = 0; time < times && performance.now() < until && !signal.aborted; time += 1) {
    work();
    await setImmediate();
  }
}
