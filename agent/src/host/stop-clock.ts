// SPDX-License-Identifier: Apache-2.0
/**
 * A clock over the time in which machines are stopped. In an update that is from the first machine's stop to the reboot
 * call. Whatever hangs meanwhile, what stopped them ends once a limit has passed, and the machines run on.
 */
import { counted } from './plain-words.ts';

/** What an update says once its limit has passed. @param limit in words */
const plansLimit = (limit: string): string =>
  `machines were stopped for ${limit}, which is the plan's stop limit`;

/** Machines were stopped for as long as they may be. */
export class StoppedTooLong extends Error {
  override readonly name = 'StoppedTooLong';
}

export class StopClock {
  readonly #limitMs: number;
  readonly #end: (reason: StoppedTooLong) => void;
  readonly #words: (limit: string) => string;
  #timer: NodeJS.Timeout | null = null;
  #endsAtMs = Number.POSITIVE_INFINITY;

  /**
   * @param limitUs in µs; null if nothing is stopped
   * @param end called once, when the limit has passed
   * @param words what is said then, of the limit in words
   */
  constructor(limitUs: number | null, end: (reason: StoppedTooLong) => void, words = plansLimit) {
    this.#words = words;
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
    return new StoppedTooLong(this.#words(limit));
  }
}
