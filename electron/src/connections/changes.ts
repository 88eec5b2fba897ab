// SPDX-License-Identifier: Apache-2.0
/**
 * Tells followers that something has changed, not what: one that was busy meanwhile hears of many
 * changes once and then looks at how things are.
 */

export class Changes {
  #version = 0;
  #next = Promise.withResolvers<void>();

  announce(): void {
    this.#version += 1;
    this.#next.resolve();
    this.#next = Promise.withResolvers<void>();
  }

  /** Yields at once, and then after each change, until `signal` aborts. */
  async *follow(signal: AbortSignal): AsyncGenerator<void> {
    const aborted = Promise.withResolvers<void>();
    const stop = () => aborted.resolve();
    signal.addEventListener('abort', stop, { once: true });
    let seen = -1;
    try {
      while (!signal.aborted) {
        if (seen === this.#version) await Promise.race([this.#next.promise, aborted.promise]);
        if (signal.aborted) return;
        seen = this.#version;
        yield;
      }
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }
}
