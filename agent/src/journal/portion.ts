// SPDX-License-Identifier: Apache-2.0
/**
 * How many entries are gone through in one turn of the event loop. Entries differ in length by a factor of hundreds, and
 * SQLite goes through them without a pause. So each portion is made after how long the one before took.
 */

/** A portion that takes longer than this is too large, in ms; one that takes much less is too small. */
const longMs = 10;
const shortMs = 3;
const first = 16;

export class Portion {
  readonly #most: number;
  #entries = first;

  /** @param most entries in one portion */
  constructor(most: number) {
    this.#most = most;
  }

  /** How many entries come next. */
  get entries(): number {
    return this.#entries;
  }

  /** Goes through a portion, without a pause, and finds the size of the next. */
  through<T>(work: () => T): T {
    const startedMs = performance.now();
    const result = work();
    this.took(performance.now() - startedMs);
    return result;
  }

  /** Finds the size of the next portion. @param ms how long this one took */
  took(ms: number): void {
    if (ms > longMs) this.#entries = Math.max(1, Math.floor(this.#entries / 2));
    else if (ms < shortMs) this.#entries = Math.min(this.#most, this.#entries * 2);
  }
}
