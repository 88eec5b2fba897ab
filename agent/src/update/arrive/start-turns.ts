// SPDX-License-Identifier: Apache-2.0
/**
 * Who is started when, of the machines that the agent has brought back. Starting a VMM takes a processor, so only so many
 * are started at once. The others wait in the order of `program/start-order.ts`.
 */

/** After so long, in ms, a start keeps no other one waiting: what it waits for is hardly a processor. */
const longestTurnMs = 10_000;

interface Waiting {
  readonly rank: number;
  begin(): void;
  /** Told once that it has to wait. */
  waits: (() => void) | null;
}

/** One machine's turn. Begins and ends as often as it is tried. */
export interface Turn {
  /**
   * Resolves once it may be started; at once if it may already.
   *
   * @param waits told if others come first
   */
  begin(waits?: () => void): Promise<void>;
  /** It is not being started any more. */
  end(): void;
}

export class StartTurns {
  readonly #atOnce: number;
  readonly #waiting = new Set<Waiting>();
  #busy = 0;
  #looks = false;

  /** @param atOnce how many machines are started at once */
  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  /** @param rank where the machine is in the order of starting: the lowest comes first */
  of(rank: number): Turn {
    let leave: (() => void) | null = null;
    return {
      begin: async (waits) => {
        leave ??= await this.#enter(rank, waits ?? null);
      },
      end: () => {
        leave?.();
        leave = null;
      },
    };
  }

  /** @returns what gives the place up */
  async #enter(rank: number, waits: Waiting['waits']): Promise<() => void> {
    const { promise, resolve: begin } = Promise.withResolvers<void>();
    this.#waiting.add({ rank, begin, waits });
    this.#look();
    await promise;
    let counts = true;
    const leave = (): void => {
      clearTimeout(late);
      if (!counts) return;
      counts = false;
      this.#busy -= 1;
      this.#look();
    };
    const late = setTimeout(leave, longestTurnMs).unref();
    return leave;
  }

  /** Lets the first ones begin, once all that ask now have asked. */
  #look(): void {
    if (this.#looks) return;
    this.#looks = true;
    queueMicrotask(() => {
      this.#looks = false;
      const inOrder = [...this.#waiting].sort((one, other) => one.rank - other.rank);
      for (const each of inOrder.slice(0, Math.max(0, this.#atOnce - this.#busy))) {
        this.#waiting.delete(each);
        this.#busy += 1;
        each.begin();
      }
      for (const each of this.#waiting) {
        each.waits?.();
        each.waits = null;
      }
    });
  }
}
