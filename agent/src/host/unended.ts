// SPDX-License-Identifier: Apache-2.0
/**
 * Work that somebody was asked for and that may never end: the kernel, a file system, the service manager. Nobody has to
 * wait for it. What is not waited for any more is left behind, and known until it ends. Then its result is given back.
 */
import { inTime } from './in-time.ts';
import { saidBy } from './said-by.ts';

/** It is not waited for any more, and goes on. */
export class NotEnded extends Error {
  override readonly name = 'NotEnded';
  /** What it is, as a noun. */
  readonly what: string;

  constructor(what: string, limitMs: number) {
    super(`${what} was not done within ${Math.ceil(limitMs / 1000)} s, and goes on`);
    this.what = what;
  }
}

export interface Patience<Result> {
  /** How long to wait, in ms; as long as it takes if it is not given. */
  readonly limitMs?: number;
  /** Ends the wait as well. */
  readonly signal?: AbortSignal | undefined;
  /** Gives back what came of it, if it ends after all and nobody waits for it any more. It is not called if it fails. */
  readonly giveBack?: (result: Result) => Promise<unknown> | unknown;
}

/** What heeds a signal ends within a moment, for example with the piece under way. It is waited for so long, in ms. */
const heedMs = 500;

/** Longer than any host runs without a restart of the agent, and the longest that a timer can wait, in ms. */
const endlessMs = 2 ** 31 - 1;

export class Unended {
  readonly #log: (level: 'info' | 'warning', message: string, fields: Record<string, unknown>) => void;
  readonly #left = new Map<Promise<unknown>, string>();

  constructor(log: (level: 'info' | 'warning', message: string, fields: Record<string, unknown>) => void) {
    this.#log = log;
  }

  /** What was left behind and has not ended yet, as nouns: `loading /boot/vmlinuz`. */
  get left(): string[] {
    return [...new Set(this.#left.values())];
  }

  /**
   * Waits for work. If it does not end in time it is left behind, and is in `left` until it ends and what came of it is
   * given back.
   *
   * @param what a noun that says what is done, to what
   * @throws NotEnded after the limit; the signal's reason; what the work throws
   */
  async waitFor<Result>(
    what: string,
    work: Promise<Result>,
    { limitMs = endlessMs, signal, giveBack }: Patience<Result> = {},
  ): Promise<Result> {
    let hasFailed = false;
    work.catch(() => {
      hasFailed = true;
    });
    const late = (): Error => new NotEnded(what, limitMs);
    try {
      return await inTime(work, limitMs, late, signal);
    } catch (error) {
      // It may just have ended well. Then what came of it is given back at once.
      if (!hasFailed) await this.#leave(what, work, giveBack, signal?.aborted ? heedMs : 0);
      throw error;
    }
  }

  /** Leaves work behind, unless it ends within a moment. */
  async #leave<Result>(
    what: string,
    work: Promise<Result>,
    giveBack: Patience<Result>['giveBack'],
    momentMs: number,
  ): Promise<void> {
    const over = work.then(async (result) => {
      await giveBack?.(result);
    });
    this.#left.set(over, what);
    let isOver = false;
    let problem: string | null = null;
    const ended = over
      .catch((error: unknown) => {
        problem = saidBy(error);
      })
      .then(() => {
        isOver = true;
        this.#left.delete(over);
      });
    await inTime(ended, momentMs, () => new NotEnded(what, momentMs)).catch(() => {});
    if (isOver) return;
    this.#log('warning', 'left behind: it has not ended', { what });
    void ended.then(() => this.#log('info', 'what was left behind has ended', { what, problem }));
  }
}
