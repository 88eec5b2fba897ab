// SPDX-License-Identifier: Apache-2.0
/**
 * Adoptions that are not done. The session of a machine is there from the start of its adoption, and until a failed one
 * is undone. Meanwhile it says nothing about whether the machine is adopted.
 */
import { Refusal } from '../host/refusal.ts';
import { saidBy } from '../host/said-by.ts';
import type { Machine } from '../interface/agent.generated.ts';
import type { HeldSession } from '../liveupdate/held-session.ts';
import type { SessionStore } from '../liveupdate/sessions.ts';

const underWay = 'its adoption is still under way';

export class Unfinished {
  readonly #sessions: SessionStore;
  /** Why each is not adopted, by its session. */
  readonly #reasons = new Map<string, string>();
  /** Sessions of those that could not be undone. They can be released. */
  readonly #left = new WeakMap<HeldSession, string>();

  constructor(sessions: SessionStore) {
    this.#sessions = sessions;
  }

  /**
   * Checks that no adoption under a session's name is under way, being undone, or left half undone.
   *
   * @throws Refusal MachineUnusable with the reason
   */
  check(session: string, { pid, name }: Pick<Machine, 'pid' | 'name'>): void {
    const left = this.#sessions.has(session) ? this.#left.get(this.#sessions.get(session)) : undefined;
    const reason = this.#reasons.get(session) ?? left;
    if (reason !== undefined) throw new Refusal('MachineUnusable', { pid, name, reason });
  }

  /** Adopts under a session's name. A machine whose adoption failed is unfinished until that is undone. */
  async during(session: string, adopting: () => Promise<unknown>): Promise<void> {
    // Another one of this name is being adopted. This one is refused once it asks for its session.
    if (this.#reasons.has(session)) return void (await adopting());
    this.#reasons.set(session, underWay);
    try {
      await adopting();
    } finally {
      if (this.#reasons.get(session) === underWay) this.#reasons.delete(session);
    }
  }

  /**
   * Undoes an adoption.
   *
   * @param why it failed
   * @throws what the undoing throws
   */
  async undo(session: string, why: unknown, undoing: () => Promise<void>): Promise<void> {
    const held = this.#sessions.get(session);
    this.#reasons.set(session, `its adoption is still being undone: ${saidBy(why)}`);
    try {
      await undoing();
    } catch (error) {
      const problem = saidBy(error);
      this.#left.set(held, `its adoption failed and could not be undone; release it first: ${problem}`);
      throw error;
    } finally {
      this.#reasons.delete(session);
    }
  }
}
