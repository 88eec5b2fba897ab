// SPDX-License-Identifier: Apache-2.0
/**
 * Builds sessions that are held without the kernel's session, and tries again if that fails. Until a session is built,
 * its memory is safe from the agent's death but not from a kexec. Callers hold the session's turn
 * (`HeldSession.serial`).
 */
import type { Session } from '../interface/agent.generated.ts';
import { needFilesOfBoxes } from './boxed-files.ts';
import { buildSession, describeContents } from './build-session.ts';
import type { HeldSession } from './held-session.ts';
import { type Actor, agentItself, type LiveUpdateContext } from './live-update-context.ts';

export class SessionBuilder {
  readonly #context: LiveUpdateContext;
  readonly #changed: () => void;

  /** @param changed is told after each attempt. */
  constructor(context: LiveUpdateContext, changed: () => void) {
    this.#context = context;
    this.#changed = changed;
  }

  /** Builds a session as a separate act: after a finish, or after an attempt that failed. @throws Refusal */
  async carryOn(session: HeldSession, actor: Actor): Promise<Session> {
    const fields = { session: session.name, peer: actor.peer };
    return await this.#context.journal.giveBack(
      'session.carry',
      fields,
      async () => {
        await this.build(session);
        return session.toSession();
      },
      () => ({ parameters: describeContents(session) }),
    );
  }

  /** Builds a session as part of another act. @throws Refusal; another attempt is then made later. */
  async build(session: HeldSession): Promise<void> {
    try {
      await buildSession(this.#context, session);
    } catch (error) {
      this.#buildLater(session);
      throw error;
    } finally {
      this.#changed();
    }
  }

  /** Looks again later into boxes that could not be looked into. What is missing may be needed before it is built again. */
  openBoxesLater(session: HeldSession): void {
    setTimeout(() => {
      const again = async (): Promise<void> => {
        if (!session.gone) await needFilesOfBoxes(this.#context, session);
        this.#changed();
      };
      session.serial.run(again).catch(() => this.openBoxesLater(session));
    }, this.#context.patience.totalMs).unref();
  }

  #buildLater(session: HeldSession): void {
    setTimeout(() => {
      const again = async (): Promise<void> => {
        if (session.unbuilt) await this.carryOn(session, agentItself);
      };
      // What went wrong is in the journal, and the next attempt is under way.
      session.serial.run(again).catch(() => {});
    }, this.#context.patience.totalMs).unref();
  }
}
