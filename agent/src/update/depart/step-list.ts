// SPDX-License-Identifier: Apache-2.0
/**
 * Steps that are done one after the other and undone in reverse. Each is an act in the journal, done or undone; a
 * step that fails half-way is undone too, and undoing goes on where it fails.
 */
import type { Journal, RecordedPeer } from '../../journal/index.ts';

export interface ExecutableStep {
  readonly id: string;
  readonly message: string;
  run(): Promise<void>;
  undo?(): Promise<void> | void;
}

export interface StepListOptions {
  readonly journal: Journal;
  readonly peer: RecordedPeer;
  readonly update: string;
  /** Ends the list between two steps. */
  readonly signal: AbortSignal;
  /** Told of every step before it is done or undone. */
  show(step: string, message: string): void;
}

export class StepList {
  readonly #options: StepListOptions;
  readonly #done: ExecutableStep[] = [];

  constructor(options: StepListOptions) {
    this.#options = options;
  }

  /** @throws what a step throws, or the signal's reason */
  async run(steps: readonly ExecutableStep[]): Promise<void> {
    const { signal, show } = this.#options;
    for (const step of steps) {
      signal.throwIfAborted();
      show(step.id, step.message);
      await this.#act('update.step', step, async () => {
        // Noted before it runs: a step that fails half-way is undone too.
        this.#done.push(step);
        await step.run();
      });
    }
    signal.throwIfAborted();
  }

  /** Undoes what was done, the last first. @returns what went wrong, in words */
  async undo(): Promise<string[]> {
    const problems: string[] = [];
    for (const step of this.#done.splice(0).reverse()) {
      const { undo } = step;
      if (!undo) continue;
      this.#options.show(step.id, `undoing: ${step.message}`);
      try {
        await this.#act('update.undo', step, undo);
      } catch (error) {
        problems.push(`undoing ${step.id}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    return problems;
  }

  async #act(name: string, { id }: ExecutableStep, work: () => Promise<void> | void): Promise<void> {
    const { journal, update, peer } = this.#options;
    await journal.act(name, { update, peer, parameters: { step: id } }, work);
  }
}
