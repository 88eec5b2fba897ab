// SPDX-License-Identifier: Apache-2.0
/**
 * How long to wait before the next attempt: doubling between two bounds. The upper bound is small
 * because every second of it is a second that a host which is back is shown as away.
 */

export interface Backoff {
  /** Milliseconds to wait now. */
  next(): number;
  reset(): void;
}

/** From `firstMs` doubling up to `mostMs`. */
export function createBackoff(firstMs = 250, mostMs = 2000): Backoff {
  let wait = firstMs;
  return {
    next() {
      const now = wait;
      wait = Math.min(mostMs, wait * 2);
      return now;
    },
    reset() {
      wait = firstMs;
    },
  };
}
