// SPDX-License-Identifier: Apache-2.0
/**
 * VMMs that look after their machines themselves, in sessions whose descriptor they were handed. They and the agent
 * talk to each other here. A VMM attends its session for as long as one call of it lasts. The agent tells it when to
 * stop its machine, and the live update waits until it answers that the machine is stopped. A session that nobody
 * attends is not waited for: nobody would answer.
 */
import { EventEmitter, once } from 'node:events';
import { inTime } from '../host/in-time.ts';
import { Refusal } from '../host/refusal.ts';

/** How long the programs may take together to say that their machines are stopped, in ms. */
export const attendantsMs = 10_000;

/** What a program that attends a session is told. */
export interface Told {
  /** Whether its machine has to stop, or stay stopped. */
  readonly still: boolean;
  /** Which question this is: it grows with each. */
  readonly question: number;
}

interface Attendant {
  /** What it was told last; null before the first time. */
  told: Told | null;
  /** Takes the answer; null while nobody waits for one. */
  answer: ((problem: string | null) => void) | null;
}

/** A program has not stopped its machine. The message names the session. */
export class NotStopped extends Error {
  override readonly name = 'NotStopped';

  constructor(session: string, problem: string) {
    super(`session ${session}: ${problem}`);
  }
}

export class Attendance {
  readonly #events = new EventEmitter().setMaxListeners(0);
  readonly #attendants = new Map<string, Attendant>();
  #now: Told = { still: false, question: 0 };

  /** Sessions that somebody attends. */
  get sessions(): string[] {
    return [...this.#attendants.keys()];
  }

  /**
   * Attends a session until `signal` fires or the caller leaves the loop.
   *
   * @returns whether its machine has to stop: now, and again on every change
   * @throws Refusal InvalidValue if somebody attends it already
   */
  async *attend(session: string, signal: AbortSignal): AsyncGenerator<Told, void, void> {
    if (this.#attendants.has(session)) {
      const expected = 'a session that nobody else attends';
      throw new Refusal('InvalidValue', { parameter: 'name', value: session, expected });
    }
    const attendant: Attendant = { told: null, answer: null };
    this.#attendants.set(session, attendant);
    try {
      while (!signal.aborted) {
        // One that was to stop for a question before, and was not told to run since, is told of the new one, too.
        if (attendant.told === this.#now) {
          await once(this.#events, 'changed', { signal }).catch(() => {});
          continue;
        }
        attendant.told = this.#now;
        yield attendant.told;
      }
    } finally {
      this.#attendants.delete(session);
      attendant.answer?.('the VMM that attended it has gone');
    }
  }

  /**
   * Takes the answer of the program that attends a session.
   *
   * @param problem why its machine cannot be carried over; null if it is stopped and all of it is preserved
   * @param question which one it answers; null if it does not say, as programs did not have to
   * @throws Refusal InvalidValue if nobody was asked, or that is not what was asked last
   */
  report(session: string, problem: string | null, question: number | null = null): void {
    const attendant = this.#attendants.get(session);
    // Until it was told of this question, it can only have answered one before.
    if (!attendant?.answer || attendant.told !== this.#now) {
      const expected = 'a session whose VMM was asked to stop its machine and has not answered yet';
      throw new Refusal('InvalidValue', { parameter: 'name', value: session, expected });
    }
    if (question !== null && question !== this.#now.question) {
      const expected = `${this.#now.question}, the question that was asked last`;
      throw new Refusal('InvalidValue', { parameter: 'question', value: String(question), expected });
    }
    attendant.answer(problem);
  }

  /**
   * Asks for every attended machine to be stopped, and waits for the answers.
   *
   * @param patienceMs how long, together
   * @param signal ends the waiting
   * @throws NotStopped as soon as one cannot be stopped, or did not answer in time; the signal's reason
   */
  async standStill(patienceMs: number, signal: AbortSignal): Promise<void> {
    this.#tell(true);
    const open = new Map([...this.#attendants].map(([session, attendant]) => [attendant, session]));
    const answers = [...open].map(
      ([attendant, session]) =>
        new Promise<void>((resolve, reject) => {
          attendant.answer = (problem) => {
            attendant.answer = null;
            open.delete(attendant);
            if (problem === null) resolve();
            else reject(new NotStopped(session, problem));
          };
        }),
    );
    const late = (): Error => {
      const [first = ''] = open.values();
      return new NotStopped(
        first,
        `its VMM did not report within ${patienceMs} ms that the machine is stopped`,
      );
    };
    const all = Promise.all(answers);
    all.catch(() => {});
    try {
      await inTime(all, patienceMs, late, signal);
    } finally {
      // Those that have answered another question since are not in it any more.
      for (const attendant of open.keys()) attendant.answer = null;
    }
  }

  /** Lets every attended machine run. */
  letRun(): void {
    this.#tell(false);
  }

  #tell(still: boolean): void {
    const question = this.#now.question + (still ? 1 : 0);
    if (still || this.#now.still) this.#now = { still, question };
    // A question before this one is not answered any more.
    for (const attendant of this.#attendants.values()) attendant.answer?.('its update has ended');
    this.#events.emit('changed');
  }
}
