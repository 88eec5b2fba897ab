// SPDX-License-Identifier: Apache-2.0
/**
 * Rehearsals of adopted machines, and how the last of each went. One at a time: each takes a processor from guests. None
 * is under way in an update. A result counts for as
 * long as the machine has the same VMM. Another agent does not know it: the journal has it.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Adopted } from '../adoption/adoption-context.ts';
import type { ProcessIdentity } from '../host/process-files.ts';
import { Refusal } from '../host/refusal.ts';
import { saidBy } from '../host/said-by.ts';
import { Serial } from '../host/serial.ts';
import type { Rehearsal } from '../interface/agent.generated.ts';
import type { Journal } from '../journal/index.ts';
import type { Actor } from '../liveupdate/live-update-context.ts';
import { purpose, type RehearsalContext, rehearseMachine } from './rehearse-machine.ts';

export interface RehearsalsContext extends RehearsalContext {
  readonly journal: Journal;
  readonly adoptions: RehearsalContext['adoptions'] & { list(): Adopted[] };
  /** @throws Refusal WrongPhase unless the host is in phase *normal*, and no update is about to begin */
  needNormal(): void;
  log(level: 'warning', message: string, fields: Record<string, unknown>): void;
}

interface Known extends ProcessIdentity {
  readonly rehearsal: Rehearsal;
}

export class Rehearsals {
  readonly #context: RehearsalsContext;
  readonly #serial = new Serial();
  readonly #known = new Map<string, Known>();
  readonly #under = new Set<AbortController>();

  constructor(context: RehearsalsContext) {
    this.#context = context;
  }

  /** How the last rehearsal of a VMM went; null if it has not been rehearsed. */
  of({ pid, startTime }: ProcessIdentity): Rehearsal | null {
    const known = [...this.#known.values()].find((each) => each.pid === pid && each.startTime === startTime);
    return known?.rehearsal ?? null;
  }

  /**
   * Rehearses an adopted machine.
   *
   * @throws Refusal MachineUnusable if it is not adopted, or the rehearsal was ended; NoSuchProcess; WrongPhase
   */
  async rehearse(pid: number, actor: Actor): Promise<Rehearsal> {
    const { adoptions, journal, needNormal } = this.#context;
    needNormal();
    const adopted = adoptions.list().find(({ machine }) => machine.pid === pid);
    if (!adopted)
      throw new Refusal('MachineUnusable', {
        ...{ pid, name: `${pid}` },
        reason: 'it is not adopted, so no update carries it over',
      });
    const { session, machine } = adopted;
    const { name, way } = machine;
    const ending = new AbortController();
    this.#under.add(ending);
    try {
      return await this.#serial.run(async () => {
        ending.signal.throwIfAborted();
        const fields = { session, peer: actor.peer, parameters: { name, way } };
        const outcome = await journal.act(
          'machine.rehearse',
          fields,
          () => this.#one(adopted, ending.signal),
          (found) => ({ parameters: { ...fields.parameters, ...found } }),
        );
        this.#known.set(session, { pid, startTime: machine.startTime, rehearsal: outcome });
        return outcome;
      });
    } catch (error) {
      if (error instanceof Ended) throw new Refusal('MachineUnusable', { pid, name, reason: error.message });
      throw error;
    } finally {
      this.#under.delete(ending);
    }
  }

  async #one(adopted: Adopted, signal: AbortSignal): Promise<Rehearsal> {
    const outcome = await rehearseMachine(this.#context, adopted, signal);
    return { ...outcome, atUs: this.#context.nowUs() };
  }

  /** Ends those that are under way, and resolves once their guests run and nothing of them is left. @param why for people */
  async end(why: string): Promise<void> {
    for (const each of this.#under) each.abort(new Ended(`its rehearsal was ended: ${why}`));
    await this.#serial.run(() => {});
  }

  /** Ends what an agent before this one has left. */
  async endLeft(): Promise<void> {
    try {
      await this.#serial.run(async () => {
        const { units, socketDirectory } = this.#context;
        await units.endAll();
        for (const name of await readdir(socketDirectory).catch(() => []))
          if (name.startsWith(purpose))
            await rm(join(socketDirectory, name), { recursive: true, force: true });
      });
    } catch (error) {
      this.#context.log('warning', 'whether rehearsals are left is unknown; each ends by itself', {
        problem: saidBy(error),
      });
    }
  }
}

/** A rehearsal was ended because something else comes first. */
class Ended extends Error {
  override readonly name = 'Ended';
}
