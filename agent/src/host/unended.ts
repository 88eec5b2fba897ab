// SPDX-License-Identifier: Apache-2.0
/**
 * Work that somebody was asked for and that may never end: the kernel, a file system, the service manager. Nobody has to
 * wait for it. What is not waited for any more is left behind, and known until it ends. Then its result is given back.
 */
import { setImmediate } from 'node:timers/promises';
import { inTime } from './in-time.ts';
import { saidBy } from './said-by.ts';

const inSeconds = (ms: number): string => `${Math.ceil(ms / 1000)} s`;

/** It is not waited for any more, and goes on. */
export class NotEnded extends Error {
  override readonly name = 'NotEnded';
  /** What it is, as a noun. */
  readonly what: string;

  /** @param limitMs how long it was waited for, in ms; null if it was not, because it goes on since an earlier time */
  constructor(what: string, limitMs: number | null) {
    const since =
      limitMs === null ? 'has not ended since before' : `was not done within ${inSeconds(limitMs)}`;
    super(`${what} ${since}, and goes on`);
    this.what = what;
  }
}

export interface Patience<Result> {
  /** How long to wait, in ms; as long as it takes if it is not given. */
  readonly limitMs?: number | null;
  /** Ends the wait as well. */
  readonly signal?: AbortSignal | undefined;
  /** Whether the work heeds the signal as well, so that it ends within a moment: that is waited for. */
  readonly heeds?: boolean;
  /** Gives back what came of it, if it ends after all and nobody waits for it any more. It is not called if it fails. */
  readonly giveBack?: (result: Result) => Promise<unknown> | unknown;
}

/** What heeds a signal ends within a moment, for example with the piece under way. It is waited for so long, in ms. */
const heedMs = 300;

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
    { limitMs = null, signal, heeds = false, giveBack }: Patience<Result> = {},
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
      if (!hasFailed) await this.#leave(what, work, giveBack, heeds && signal?.aborted ? heedMs : 0);
      throw error;
    }
  }

  /**
   * The same for work that must not be begun again before it has ended: where a file system does not answer, each look
   * would take another thread.
   *
   * @throws NotEnded at once if it was left behind before, and has not ended
   */
  async waitForOne<Result>(
    what: string,
    begin: () => Promise<Result>,
    patience: Patience<Result>,
  ): Promise<Result> {
    if (this.left.includes(what)) throw new NotEnded(what, null);
    return await this.waitFor(what, begin(), patience);
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
    if (momentMs === 0) await setImmediate();
    else await inTime(ended, momentMs, () => new NotEnded(what, momentMs)).catch(() => {});
    if (isOver) return;
    this.#log('warning', 'left behind: it has not ended', { what });
    void ended.then(() => this.#log('info', 'what was left behind has ended', { what, problem }));
  }
}
