// SPDX-License-Identifier: Apache-2.0
/**
 * What an update could not undo. It is tried again with growing pauses, and at once when somebody aborts or begins an
 * update. Nothing else may begin meanwhile, and nothing is tried while an update is under way.
 */
import { Serial } from '../../host/serial.ts';
import type { StepList } from './step-list.ts';

/** The pauses before it is tried again, in ms. The last one is used from then on. */
const usualPausesMs: readonly number[] = [1000, 2000, 5000, 15_000, 60_000];

export interface LeftoversOptions {
  /** The id of the update. */
  readonly update: string;
  readonly steps: Pick<StepList, 'left' | 'undoLeft'>;
  /** Told of each attempt: what still went wrong, in words. */
  told(problems: readonly string[]): void;
  readonly pausesMs?: readonly number[];
}

export class Leftovers {
  readonly #options: LeftoversOptions;
  readonly #serial = new Serial();
  #attempts = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: LeftoversOptions) {
    this.#options = options;
    this.#wait();
  }

  /** The id of the update. */
  get update(): string {
    return this.#options.update;
  }

  /** The ids of the steps that are not undone. */
  get left(): readonly string[] {
    return this.#options.steps.left;
  }

  /** Tries now. @returns what went wrong, in words; empty once nothing is left */
  async tryNow(): Promise<readonly string[]> {
    return await this.#serial.run(async () => {
      this.#stop();
      if (this.left.length === 0) return [];
      const problems = await this.#options.steps.undoLeft();
      this.#options.told(problems);
      if (problems.length > 0) this.#wait();
      return problems;
    });
  }

  #wait(): void {
    const { pausesMs = usualPausesMs } = this.#options;
    const ms = pausesMs[Math.min(this.#attempts, pausesMs.length - 1)] ?? 0;
    this.#attempts += 1;
    this.#timer = setTimeout(() => void this.tryNow(), ms).unref();
  }

  #stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
