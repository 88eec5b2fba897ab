// SPDX-License-Identifier: Apache-2.0
/**
 * The clock over the blackout on the side that is left: from the first machine's stop to the reboot call. Whatever hangs
 * meanwhile, the update ends once the plan's stop limit has passed, and the machines run on.
 */
import { counted } from '../../host/plain-words.ts';

/** Machines were stopped for as long as the plan allows. */
export class StoppedTooLong extends Error {
  override readonly name = 'StoppedTooLong';
}

export class StopClock {
  readonly #limitMs: number;
  readonly #end: (reason: StoppedTooLong) => void;
  #timer: NodeJS.Timeout | null = null;
  #endsAtMs = Number.POSITIVE_INFINITY;

  /**
   * @param limitUs the plan's stop limit, in µs; null if it stops nothing
   * @param end ends the update; called once, when the limit has passed
   */
  constructor(limitUs: number | null, end: (reason: StoppedTooLong) => void) {
    this.#limitMs = limitUs === null ? Number.POSITIVE_INFINITY : limitUs / 1000;
    this.#end = end;
  }

  /** Starts it, if it does not run yet: machines are stopped now. */
  start(): void {
    if (!Number.isFinite(this.#limitMs) || this.#timer !== null) return;
    this.#endsAtMs = performance.now() + this.#limitMs;
    this.#timer = setTimeout(() => this.#end(this.#late()), this.#limitMs);
  }

  /** Right before the reboot call. A timer fires late where the event loop was held up. @throws StoppedTooLong */
  needInTime(): void {
    if (performance.now() > this.#endsAtMs) throw this.#late();
  }

  /** The machines are about to run on, or never were stopped. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#endsAtMs = Number.POSITIVE_INFINITY;
  }

  #late(): StoppedTooLong {
    const limit = counted(Math.ceil(this.#limitMs / 1000), 'second');
    return new StoppedTooLong(`machines were stopped for ${limit}, which is the plan's stop limit`);
  }
}
