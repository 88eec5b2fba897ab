// SPDX-License-Identifier: Apache-2.0
/**
 * Gives back the agent's memory once nothing was asked of it for a while. Most of the time it does nothing but tell the
 * service manager that it lives, and the memory belongs to the guests.
 *
 * V8 collects only when something new is made, and its own look for idle times wakes the process again and again
 * (`--no-memory-reducer` in the unit). So this is done once after each activity, and nothing wakes the agent after it.
 * What signs of life leave behind is collected now and then, on the one thread that is awake (`--no-parallel-scavenge`).
 * Compiled functions are kept (`--no-flush-bytecode`): the next update must not wait for them.
 *
 * What is mapped of Node's file is given back as well. It stays in the kernel's page cache, unless that is short of memory.
 * An update maps all of it again when it begins: with machines stopped nothing must wait for the disk of the host's root.
 */
import type { Memory } from '@luo-console/native';
import type { Log } from './log.ts';
import { saidBy } from './said-by.ts';

/** How long nothing must have been done, in ms. People who look around do something more often. */
const usualQuietMs = 30_000;

export interface QuietMemoryOptions {
  readonly memory: Pick<Memory, 'releaseUnused' | 'populatePrograms'>;
  readonly log: Log;
  /** Whether it may be done now. If not, it is done a while after the next activity. */
  readonly mayRelease: () => boolean;
  readonly quietMs?: number;
  /** Collects garbage; null where V8 does not offer it (`--expose-gc`). */
  readonly collect?: (() => void) | null;
}

export class QuietMemory {
  readonly #options: QuietMemoryOptions;
  #timer: NodeJS.Timeout | null = null;
  /** What is being given back. */
  #releasing: Promise<void> = Promise.resolve();
  /** Said once where everybody sees it: for whoever measures. */
  #isSaid = false;

  constructor(options: QuietMemoryOptions) {
    this.#options = options;
  }

  /** Says that something was done. Memory is given back once nothing was for a while. */
  used(): void {
    if (this.#timer !== null) this.#timer.refresh();
    else this.#timer = setTimeout(() => void this.#quiet(), this.#options.quietMs ?? usualQuietMs).unref();
  }

  /** Has everything mapped that was given back. Resolves once it is, or cannot be, which is logged. */
  async needed(): Promise<void> {
    const { memory, log } = this.#options;
    this.stop();
    try {
      // What is being given back would be unmapped again.
      await this.#releasing;
      await memory.populatePrograms();
    } catch (error) {
      log('warning', 'the agent’s program could not be mapped', { problem: saidBy(error) });
    }
  }

  /** Gives nothing back any more, until something is done. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #quiet(): Promise<void> {
    this.#timer = null;
    const { memory, log, mayRelease, collect = globalThis.gc } = this.#options;
    if (!mayRelease()) return;
    try {
      collect?.();
      this.#releasing = memory.releaseUnused();
      await this.#releasing;
      log(this.#isSaid ? 'debug' : 'info', 'idle', {
        residentKiB: Math.round(process.memoryUsage.rss() / 1024),
      });
      this.#isSaid = true;
    } catch (error) {
      log('warning', 'memory could not be given back', { problem: saidBy(error) });
    }
  }
}
