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
      if (inBlackout(step)) await this.#inSilence('update.step', step, this.#taken(step), doing);
      else await this.#options.journal.act('update.step', this.#fields(step), doing);
    }
  }

  /**
   * Undoes what was done, the last first. Never throws. A journal that cannot be written does not keep a step from
   * being undone: a host that is left half-way would be worse than one undo without an entry.
   *
   * @returns what went wrong, in words
   */
  async undo(): Promise<string[]> {
    const { work, undoing } = this.#options;
    const problems = new Set<string>();
    const attempt = async <T>(what: string, doing: () => Promise<T> | T): Promise<T | null> => {
      try {
        return await doing();
      } catch (error) {
        problems.add(`${what}: ${saidBy(error)}`);
        return null;
      }
    };
    for (const step of this.#done.splice(0).reverse()) {
      const silent = inBlackout(step);
      if (!silent) await attempt('the journal', () => this.#writeDeferred());
      const { undo } = work(step);
      if (!undo) continue;
      undoing(step);
      const announced = silent ? null : await attempt('the journal', () => this.#announceUndo(step));
      await attempt(`undoing ${step.shown.id}`, () =>
        this.#inSilence('update.undo', step, announced, async () => undo()),
      );
    }
    await attempt('the journal', () => this.#writeDeferred());
    return [...problems];
  }

  #announce(list: readonly LeavingStep[]): void {
    const { journal } = this.#options;
    for (const step of list) this.#announced.set(step, journal.announce('update.step', this.#fields(step)));
  }

  #announceUndo(step: LeavingStep): JournalEntry {
    return this.#options.journal.announce('update.undo', this.#fields(step));
  }

  /** The announcement of a step of the blackout, which its result answers. */
  #taken(step: LeavingStep): JournalEntry | null {
    const announced = this.#announced.get(step) ?? null;
    this.#announced.delete(step);
    return announced;
  }

  /** Does something and keeps what is to be written of it. */
  async #inSilence(
    name: Deferred['name'],
    step: LeavingStep,
    announced: JournalEntry | null,
    doing: () => Promise<void>,
  ): Promise<void> {
    const { nowUs } = this.#options;
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
    // Each stays in the list until it is written: the disk may have room again at the next attempt.
    for (let next = this.#deferred[0]; next; next = this.#deferred[0]) {
      const { name, step, announced, failure, durationUs } = next;
      const fields = this.#fields(step);
      journal.settle(announced ?? journal.announce(name, fields), fields, failure, durationUs);
      this.#deferred.shift();
    }
  }

  #fields({ shown }: LeavingStep) {
    const { update, peer } = this.#options;
    return { update, peer, parameters: { step: shown.id } };
  }
}
