// SPDX-License-Identifier: Apache-2.0
/**
 * Does steps one after the other and undoes them in reverse. Each is an act in the journal, done or undone. A step
 * that fails half-way is undone too, and undoing goes on where one undo fails.
 *
 * While machines are stopped nothing is written. Steps of the blackout are announced before the first of them
 * begins. Their results are written once the machines run on. After a kexec that works the agent in the next kernel
 * writes them (`arrive/arriving-steps.ts`).
 */
import { saidBy } from '../../host/said-by.ts';
import type { Journal, JournalEntry, RecordedPeer } from '../../journal/index.ts';
import { type LeavingId, type PlannedStep, type StepKind, steps } from '../record/steps.ts';

type LeavingStep = PlannedStep<LeavingId>;

/** What is to be done for a step. */
export interface Work {
  run(): Promise<void>;
  undo?(): Promise<void> | void;
}

export interface StepListOptions {
  readonly journal: Journal;
  readonly peer: RecordedPeer;
  readonly update: string;
  /** Ends the list between two steps. */
  readonly signal: AbortSignal;
  /** A clock in µs. */
  nowUs(): number;
  work(step: LeavingStep): Work;
  /** Told of every step before it is done. */
  begin(step: LeavingStep): void;
  /** Told of every step before it is undone. */
  undoing(step: LeavingStep): void;
}

/** What could not be written when it happened. */
interface Deferred {
  readonly name: 'update.step' | 'update.undo';
  readonly step: LeavingStep;
  /** The announcement, if it is written already. */
  readonly announced: JournalEntry | null;
  readonly failure: unknown;
  readonly durationUs: number | null;
}

const inBlackout = ({ id }: LeavingStep): boolean => (steps[id] as StepKind).blackout === true;

export class StepList {
  readonly #options: StepListOptions;
  readonly #done: LeavingStep[] = [];
  /** Announcements of blackout steps that have no result yet. */
  readonly #announced = new Map<LeavingStep, JournalEntry>();
  readonly #deferred: Deferred[] = [];

  constructor(options: StepListOptions) {
    this.#options = options;
  }

  /** @throws what a step throws, or the signal's reason */
  async run(list: readonly LeavingStep[]): Promise<void> {
    const { signal, begin, work } = this.#options;
    for (const step of list) {
      signal.throwIfAborted();
      if (inBlackout(step) && this.#announced.size === 0) this.#announce(list.filter(inBlackout));
      // Somebody may have aborted while the announcement was written; from here to `begin` nobody can.
      signal.throwIfAborted();
      begin(step);
      const doing = (): Promise<void> => {
        // Noted before it runs: a step that fails half-way is undone too.
        this.#done.push(step);
        return work(step).run();
      };
      if (inBlackout(step)) await this.#inSilence('update.step', step, doing);
      else await this.#act('update.step', step, doing);
    }
  }

  /** Undoes what was done, the last first. Never throws. @returns what went wrong, in words */
  async undo(): Promise<string[]> {
    const { work, undoing } = this.#options;
    const problems: string[] = [];
    const attempt = async (what: string, doing: () => Promise<void> | void): Promise<void> => {
      try {
        await doing();
      } catch (error) {
        problems.push(`${what}: ${saidBy(error)}`);
      }
    };
    for (const step of this.#done.splice(0).reverse()) {
      if (!inBlackout(step)) await attempt('the journal', () => this.#writeDeferred());
      const { undo } = work(step);
      if (!undo) continue;
      undoing(step);
      const act = inBlackout(step) ? this.#inSilence : this.#act;
      await attempt(`undoing ${step.shown.id}`, () =>
        act.call(this, 'update.undo', step, async () => undo()),
      );
    }
    await attempt('the journal', () => this.#writeDeferred());
    return problems;
  }

  #announce(list: readonly LeavingStep[]): void {
    const { journal } = this.#options;
    for (const step of list) this.#announced.set(step, journal.announce('update.step', this.#fields(step)));
  }

  /** Does something and keeps what is to be written of it. */
  async #inSilence(name: Deferred['name'], step: LeavingStep, doing: () => Promise<void>): Promise<void> {
    const { nowUs } = this.#options;
    const announced = name === 'update.step' ? (this.#announced.get(step) ?? null) : null;
    if (announced !== null) this.#announced.delete(step);
    const startedUs = nowUs();
    let failure: unknown = null;
    try {
      await doing();
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      this.#deferred.push({ name, step, announced, failure, durationUs: nowUs() - startedUs });
    }
  }

  #writeDeferred(): void {
    const { journal } = this.#options;
    for (const [step, announced] of this.#announced) {
      const failure = new Error('not done: the update ended before it');
      this.#deferred.push({ name: 'update.step', step, announced, failure, durationUs: null });
    }
    this.#announced.clear();
    for (const { name, step, announced, failure, durationUs } of this.#deferred.splice(0)) {
      const fields = this.#fields(step);
      journal.settle(announced ?? journal.announce(name, fields), fields, failure, durationUs);
    }
  }

  async #act(name: string, step: LeavingStep, doing: () => Promise<void>): Promise<void> {
    await this.#options.journal.act(name, this.#fields(step), doing);
  }

  #fields({ shown }: LeavingStep) {
    const { update, peer } = this.#options;
    return { update, peer, parameters: { step: shown.id } };
  }
}
