// SPDX-License-Identifier: Apache-2.0
/**
 * A value that a view reads from a host. It stays on the screen while it is read again, and also when reading
 * fails: the failure then stands beside it.
 */
import type { Reading } from './agent.ts';
import { type Failure, toFailure } from './failure.ts';

export type RemoteState = 'empty' | 'loading' | 'failed' | 'ready';

export class Remote<T> {
  state = $state<RemoteState>('empty');
  value = $state.raw<T | null>(null);
  failure = $state.raw<Failure | null>(null);
  /** True if `value` came from the host itself, false if from the replica. */
  live = $state(false);
  /** When `value` was true, in µs since the epoch. */
  asOfUs = $state(0);
  readonly #ask: () => Promise<Reading<T>>;
  #asked = 0;

  constructor(ask: () => Promise<Reading<T>>) {
    this.#ask = ask;
  }

  /** Reads again. Of several readings under way at once only the one asked for last counts. Never throws. */
  async load(): Promise<void> {
    this.#asked += 1;
    const mine = this.#asked;
    if (this.value === null) this.state = 'loading';
    try {
      const reading = await this.#ask();
      if (mine !== this.#asked) return;
      this.value = reading.value;
      this.live = reading.live;
      this.asOfUs = reading.asOfUs;
      this.failure = null;
      this.state = 'ready';
    } catch (thrown) {
      if (mine !== this.#asked) return;
      this.failure = toFailure(thrown);
      this.state = this.value === null ? 'failed' : 'ready';
    }
  }
}
