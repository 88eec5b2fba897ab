// SPDX-License-Identifier: Apache-2.0
/**
 * The steps of the next kernel, as the plan named them. The index session carries the plan's facts, so nothing is
 * listed a second time. These are the steps of `record/steps.ts` that follow from the facts and lie on this side.
 * Each is shown when it begins. An index without facts comes from an earlier agent: its work is shown without a step.
 *
 * Results are kept, and written together once everything is in hand: memory, and perhaps machines, wait until then.
 * With them come the results of the steps during which the machines were stopped. The kernel before could only announce
 * those. An agent that dies meanwhile has written some, and the next one adds the rest.
 */
import { setImmediate } from 'node:timers/promises';
import type { Update } from '../../interface/agent.generated.ts';
import type { JournalEntry } from '../../journal/index.ts';
import type { UpdateFacts } from '../record/facts.ts';
import type { ProgressBoard } from '../record/progress.ts';
import {
  type ArrivingId,
  isArriving,
  type PlannedStep,
  type StepKind,
  stepKinds,
  steps,
  stepsOf,
} from '../record/steps.ts';
import type { UpdateContext } from '../record/update-context.ts';

/** Work that may be a step of the plan. */
export interface Work {
  readonly id: ArrivingId;
  /** The session it is for; null for a step that is there once. */
  readonly session: string | null;
  /** What people call it, for a plan that is not known; the session if none is given. */
  readonly name?: string;
  /** The update as it is now; null if nobody knows of one, and then nothing is shown. */
  readonly update: Update | null;
  /** How long it took in µs, if it was done before; null if that is not known. Measured if left out. */
  readonly tookUs?: number | null;
}

/** How a step went. `failure` is null if it went well. */
interface StepResult {
  readonly step: string;
  readonly failure: unknown;
  readonly durationUs: number | null;
}

export class ArrivingSteps {
  readonly #board: ProgressBoard;
  readonly #nowUs: () => number;
  readonly #planned: readonly PlannedStep<ArrivingId>[];
  readonly #results: StepResult[] = [];

  /**
   * @param facts what the plan was made from; null if the index does not say
   * @param nowUs a clock in µs
   */
  constructor(board: ProgressBoard, facts: UpdateFacts | null, nowUs: () => number) {
    this.#board = board;
    this.#nowUs = nowUs;
    this.#planned = facts === null ? [] : stepsOf(facts).filter(isArriving);
  }

  /** Results so far, in the order of the plan: machines do not come to their end in it. */
  get results(): readonly StepResult[] {
    const at = ({ step }: StepResult): number => this.#planned.findIndex(({ shown }) => shown.id === step);
    return this.#results.toSorted((left, right) => at(left) - at(right));
  }

  /** Whether the plan has this step. */
  has(id: ArrivingId, session: string | null): boolean {
    return this.#find(id, session) !== undefined;
  }

  /** Sessions in the order in which the plan takes this step for them; those it does not know come last. */
  inOrder(id: ArrivingId, sessions: Iterable<string>): string[] {
    const planned = this.#planned.flatMap((step) => (step.id === id ? (step.subject?.session ?? []) : []));
    return [...new Set([...planned, ...sessions])];
  }

  /** Shows a step that goes on. */
  show({ id, session, update }: Pick<Work, 'id' | 'session' | 'update'>, message: string): void {
    if (update === null) return;
    this.#board.show(update, { step: this.#find(id, session)?.shown.id ?? null, message });
  }

  /** Shows a step, does it and keeps its result. @throws what the work throws */
  async do({ id, session, name, update, tookUs }: Work, work: () => Promise<void> | void): Promise<void> {
    const planned = this.#find(id, session);
    if (update !== null) {
      const kind: StepKind = steps[id];
      const called = session === null ? null : { name: name ?? session };
      this.show({ id, session, update }, planned?.doing ?? kind.doing(called, { release: update.toRelease }));
    }
    const startedUs = this.#nowUs();
    let failure: unknown = null;
    try {
      await work();
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      const durationUs = tookUs === undefined ? this.#nowUs() - startedUs : tookUs;
      if (planned) this.#results.push({ step: planned.shown.id, failure, durationUs });
    }
  }

  #find(id: ArrivingId, session: string | null): PlannedStep<ArrivingId> | undefined {
    return this.#planned.find((step) => step.id === id && (step.subject?.session ?? null) === session);
  }
}

/** Steps whose result the kernel before could not write, with the phase that each of them took. */
const unwitnessed = stepKinds.flatMap(([, { wire, phase, side, blackout }]) =>
  side === 'leaving' && blackout ? [{ step: wire, phase }] : [],
);

/**
 * Writes the results of steps that have none yet: of those announced before the kexec, which has worked, and of
 * those done here.
 *
 * @throws Error if the journal cannot be read
 */
export async function noteResults(
  { journal, reader }: Pick<UpdateContext, 'journal' | 'reader'>,
  { id: update, phases }: Pick<Update, 'id' | 'phases'>,
  results: readonly StepResult[],
): Promise<void> {
  const name = 'update.step';
  const acts = new Map<string, JournalEntry>();
  const answered = new Set<number | null>();
  for await (const entries of reader.walk({ name, update })) {
    for (const entry of entries) {
      if (entry.kind === 'act') acts.set(String(entry.parameters['step']), entry);
      else answered.add(entry.answers);
    }
  }
  const before = unwitnessed
    .filter(({ step }) => acts.has(step))
    .map(({ step, phase }) => {
      const durationUs = phases.find((each) => each.phase === phase)?.durationUs ?? null;
      return { step, failure: null, durationUs };
    });
  for (const { step, failure, durationUs } of [...before, ...results]) {
    const announced = acts.get(step);
    if (announced && answered.has(announced.sequence)) continue;
    const fields = { update, parameters: { step } };
    journal.settle(announced ?? journal.begin(name, fields), fields, failure, durationUs);
    // Calls are answered meanwhile.
    await setImmediate();
  }
}
