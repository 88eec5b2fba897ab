// SPDX-License-Identifier: Apache-2.0
/**
 * VMMs that look after their machines themselves, in sessions whose descriptor they were handed. They and the agent
 * talk to each other here. A VMM attends its session for as long as one call of it lasts. The agent tells it when to
 * stop its machine, and the live update waits until it answers that the machine is stopped. A session that nobody
 * attends is not waited for: nobody would answer.
 */
import { EventEmitter, once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Refusal } from '../host/refusal.ts';

interface Attendant {
  /** Takes the answer; null while nobody waits for one. */
  answer: ((problem: string | null) => void) | null;
}

export class Attendance {
  readonly #events = new EventEmitter().setMaxListeners(0);
  readonly #attendants = new Map<string, Attendant>();
  #still = false;

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
  async *attend(session: string, signal: AbortSignal): AsyncGenerator<boolean, void, void> {
    if (this.#attendants.has(session)) {
      const expected = 'a session that nobody else attends';
      throw new Refusal('InvalidValue', { parameter: 'name', value: session, expected });
    }
    const attendant: Attendant = { answer: null };
    this.#attendants.set(session, attendant);
    try {
      for (let told: boolean | null = null; !signal.aborted; ) {
        if (told === this.#still) {
          await once(this.#events, 'changed', { signal }).catch(() => {});
          continue;
        }
        told = this.#still;
        yield told;
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
   * @throws Refusal InvalidValue if nobody was asked
   */
  report(session: string, problem: string | null): void {
    const attendant = this.#attendants.get(session);
    if (!attendant?.answer) {
      const expected = 'a session whose VMM was asked to stop its machine and has not answered yet';
      throw new Refusal('InvalidValue', { parameter: 'name', value: session, expected });
    }
    attendant.answer(problem);
  }

  /**
   * Asks for every attended machine to be stopped, and waits for the answers.
   *
   * @param patienceMs how long, together
   * @param signal ends the waiting; what has not answered by then counts as a problem
   * @returns what went wrong, by session
   */
  async standStill(patienceMs: number, signal: AbortSignal): Promise<Map<string, string>> {
    const open = new Set(this.#attendants.keys());
    const problems = new Map<string, string>();
    const answers = [...this.#attendants].map(
      ([session, attendant]) =>
        new Promise<void>((resolve) => {
          attendant.answer = (problem) => {
            attendant.answer = null;
            open.delete(session);
            if (problem !== null) problems.set(session, problem);
            resolve();
          };
        }),
    );
    this.#tell(true);
    const enough = new AbortController();
    const limit = delay(patienceMs, undefined, { signal: AbortSignal.any([signal, enough.signal]) });
    await Promise.race([Promise.all(answers), limit.catch(() => {})]);
    enough.abort();
    for (const session of open) {
      const attendant = this.#attendants.get(session);
      if (attendant) attendant.answer = null;
      problems.set(session, `its VMM did not report within ${patienceMs} ms that the machine is stopped`);
    }
    return problems;
  }

  /** Lets every attended machine run. */
  letRun(): void {
    this.#tell(false);
  }

  #tell(still: boolean): void {
    this.#still = still;
    this.#events.emit('changed');
  }
}
