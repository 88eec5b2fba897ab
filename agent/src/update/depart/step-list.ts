// SPDX-License-Identifier: Apache-2.0
/**
 * Does steps one after the other and undoes them in reverse. Each is an act in the journal, done or undone. A step
 * that fails half-way is undone too, and undoing goes on where one undo fails. What could not be undone is kept, and can be
 * tried again. Undoing never waits for the journal, and it has a limit. What only gives back memory comes after the
 * machines: the kernel closes no session in which it still preserves something. It goes on by itself then, and counts as
 * not undone until it is through.
 *
 * While machines are stopped nothing is written. Steps of the blackout are announced before the first of them
 * begins. Their results are written once the machines run on. After a kexec that works the agent in the next kernel
 * writes them (`arrive/arriving-steps.ts`).
 */
import { saidBy } from '../../host/said-by.ts';
import type { Unended } from '../../host/unended.ts';
import type { Announced, Journal, RecordedPeer } from '../../journal/index.ts';
import { type LeavingId, type PlannedStep, type StepKind, steps } from '../record/steps.ts';

type LeavingStep = PlannedStep<LeavingId>;

/** What is to be done for a step. */
export interface Work {
  run(): Promise<void>;
  undo?(): Promise<void> | void;
}

export interface StepListOptions {
  readonly journal: Journal;
  readonly unended: Unended;
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
  /** Lets machines run on that are still stopped: called once, before what only gives back memory is undone. */
  runOn(): Promise<unknown>;
}

/** What could not be written when it happened. */
interface Deferred {
  readonly name: 'update.step' | 'update.undo';
  readonly step: LeavingStep;
  /** The announcement, if it is written already. */
  readonly announced: Announced | null;
  readonly failure: unknown;
  readonly durationUs: number | null;
}

/**
 * How long all undoing is waited for, in ms. With what comes before and after it, an abort is answered within 2 s. The
 * machines have shorter limits (`suspension.ts`).
 */
const undoMs = 1200;
/** How long each is waited for at least, in ms: one that takes long costs no other its turn. */
const leastMs = 100;

const frees = ({ id }: LeavingStep): boolean => (steps[id] as StepKind).frees === true;
const inBlackout = ({ id }: LeavingStep): boolean => (steps[id] as StepKind).blackout === true;

/** Undoing has been waited for long enough, from when this is made. */
class Enough implements Disposable {
  readonly #reason = new Error('it was not done in time, and goes on');
  readonly #timers: NodeJS.Timeout[] = [];
  #isOver = false;

  constructor() {
    this.#later(undoMs, () => {
      this.#isOver = true;
      this.#end.abort(this.#reason);
    });
  }

  readonly #end = new AbortController();

  /** Fires then, but gives what begins now its turn. */
  get signal(): AbortSignal {
    const turn = new AbortController();
    const end = (): void => turn.abort(this.#reason);
    this.#later(leastMs, () => {
      if (this.#isOver) end();
      else this.#end.signal.addEventListener('abort', end);
    });
    return turn.signal;
  }

  #later(ms: number, act: () => void): void {
    this.#timers.push(setTimeout(act, ms));
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}

export class StepList {
  readonly #options: StepListOptions;
  readonly #done: LeavingStep[] = [];
  /** Announcements of blackout steps that have no result yet. */
  readonly #announced = new Map<LeavingStep, Announced>();
  readonly #deferred: Deferred[] = [];
  /** What could not be undone, the last that was done first. */
  #left: LeavingStep[] = [];
  /** Undoing that goes on, whether or not somebody waits for it. */
  readonly #going = new Map<LeavingStep, Promise<void>>();

  constructor(options: StepListOptions) {
    this.#options = options;
  }

  /** @throws what a step throws, or the signal's reason */
  async run(list: readonly LeavingStep[]): Promise<void> {
    const { signal, begin, work } = this.#options;
    for (const step of list) {
      signal.throwIfAborted();
      if (inBlackout(step) && this.#announced.size === 0) {
        this.#announce(list.filter(inBlackout));
        // Others have to do with the journal, too.
        this.#options.journal.hold();
      }
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

  /** What could not be undone, by the ids of the steps. */
  get left(): string[] {
    return this.#left.map(({ shown }) => shown.id);
  }

  /**
   * Undoes what was done, the last first. Never throws. What fails is kept in `left`.
   *
   * @returns what went wrong, in words
   */
  async undo(): Promise<string[]> {
    const { undoing, unended, work } = this.#options;
    const problems: string[] = [];
    using enough = new Enough();
    let haveRunOn = false;
    const runOn = async (): Promise<void> => {
      if (haveRunOn) return;
      haveRunOn = true;
      const { signal } = enough;
      const running = this.#options.runOn();
      await unended.waitFor('letting machines run on', running, { signal }).catch((error: unknown) => {
        problems.push(`${signal.aborted ? 'letting machines run on: ' : ''}${saidBy(error)}`);
      });
    };
    for (const step of this.#done.splice(0).reverse()) {
      if (frees(step)) await runOn();
      const silent = inBlackout(step);
      if (!silent) this.#writeDeferred();
      if (!work(step).undo) continue;
      undoing(step);
      const announced = silent ? null : this.#beginUndo(step);
      try {
        await this.#inSilence('update.undo', step, announced, () => this.#undoOne(step, enough.signal));
      } catch (error) {
        problems.push(`undoing ${step.shown.id}: ${saidBy(error)}`);
        this.#left.push(step);
      }
    }
    await runOn();
    this.#writeDeferred();
    return problems;
  }

  /**
   * Tries again to undo what could not be undone. No machine may be stopped for an update meanwhile.
   *
   * @returns what went wrong, in words; empty once nothing is left
   */
  async undoLeft(): Promise<string[]> {
    const { journal } = this.#options;
    const problems: string[] = [];
    const still: LeavingStep[] = [];
    using enough = new Enough();
    for (const step of this.#left) {
      try {
        await journal.giveBack('update.undo', this.#fields(step), () => this.#undoOne(step, enough.signal));
      } catch (error) {
        problems.push(`undoing ${step.shown.id}: ${saidBy(error)}`);
        still.push(step);
      }
    }
    this.#left = still;
    return problems;
  }

  async #undoOne(step: LeavingStep, signal: AbortSignal): Promise<void> {
    const undo = async (): Promise<void> => await this.#options.work(step).undo?.();
    if (!frees(step)) return await undo();
    const going = this.#going.get(step) ?? undo();
    this.#going.set(step, going);
    const over = (): void => void this.#going.delete(step);
    going.then(over, over);
    await this.#options.unended.waitFor(`undoing ${step.shown.id}`, going, { signal });
  }

  #announce(list: readonly LeavingStep[]): void {
    const { journal } = this.#options;
    for (const step of list) this.#announced.set(step, journal.announce('update.step', this.#fields(step)));
  }

  #beginUndo(step: LeavingStep): Announced {
    return this.#options.journal.begin('update.undo', this.#fields(step));
  }

  /** The announcement of a step of the blackout, which its result answers. */
  #taken(step: LeavingStep): Announced | null {
    const announced = this.#announced.get(step) ?? null;
    this.#announced.delete(step);
    return announced;
  }

  /** Does something and keeps what is to be written of it. */
  async #inSilence(
    name: Deferred['name'],
    step: LeavingStep,
    announced: Announced | null,
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
    journal.goOn();
    for (const [step, announced] of this.#announced) {
      const failure = new Error('not done: the update ended before it');
      this.#deferred.push({ name: 'update.step', step, announced, failure, durationUs: null });
    }
    this.#announced.clear();
    for (const { name, step, announced, failure, durationUs } of this.#deferred.splice(0)) {
      const fields = this.#fields(step);
      journal.settle(announced ?? journal.begin(name, fields), fields, failure, durationUs);
    }
  }

  #fields({ shown }: LeavingStep) {
    const { update, peer } = this.#options;
    return { update, peer, parameters: { step: shown.id } };
  }
}
