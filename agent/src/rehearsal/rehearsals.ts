// SPDX-License-Identifier: Apache-2.0
/**
 * Rehearsals of adopted machines, and how the last of each went. One at a time: each takes a processor from guests. None
 * is under way in an update. What counts of them is in `last-results.ts`. Another agent does not know it: the journal has it.
 */
import type { Adopted } from '../adoption/adoption-context.ts';
import { inTime } from '../host/in-time.ts';
import type { ProcessIdentity } from '../host/process-files.ts';
import { Refusal } from '../host/refusal.ts';
import { saidBy } from '../host/said-by.ts';
import { Serial } from '../host/serial.ts';
import { removeMeetingPlaces } from '../host/socket-directory.ts';
import type { Rehearsal } from '../interface/agent.generated.ts';
import type { Journal } from '../journal/index.ts';
import type { Actor } from '../liveupdate/live-update-context.ts';
import { LastResults } from './last-results.ts';
import { purpose, type RehearsalContext, rehearseMachine } from './rehearse-machine.ts';

export interface RehearsalsContext extends RehearsalContext {
  readonly journal: Journal;
  readonly adoptions: RehearsalContext['adoptions'] & { list(): Adopted[] };
  /** @throws Refusal WrongPhase unless the host is in phase *normal*, and no update is about to begin */
  needNormal(): void;
  log(level: 'warning', message: string, fields: Record<string, unknown>): void;
}

/** How long the end of rehearsals is waited for, in ms: a guest runs on within 15 s, and units end in less. */
const endMs = 20_000;

export class Rehearsals {
  readonly #context: RehearsalsContext;
  readonly #serial = new Serial();
  readonly #results: LastResults;
  readonly #under = new Set<AbortController>();

  constructor(context: RehearsalsContext) {
    this.#context = context;
    this.#results = new LastResults(context);
  }

  /**
   * How the last rehearsal of a VMM went that found out most; null if it has not been rehearsed.
   *
   * @param devices that it has, in its words; null if it was not asked
   */
  of(identity: ProcessIdentity, devices: readonly string[] | null = null): Promise<Rehearsal | null> {
    return this.#results.of(identity, devices);
  }

  /**
   * Rehearses an adopted machine.
   *
   * @returns how it went
   * @throws Refusal MachineUnusable if it is not adopted, or the rehearsal was ended; NoSuchProcess; WrongPhase
   */
  async rehearse(pid: number, actor: Actor): Promise<Rehearsal> {
    const { adoptions, journal, needNormal } = this.#context;
    needNormal();
    const find = (): Adopted => {
      const found = adoptions.list().find(({ machine }) => machine.pid === pid);
      if (found) return found;
      const reason = 'it is not adopted, so no update carries it over';
      throw new Refusal('MachineUnusable', { pid, name: `${pid}`, reason });
    };
    const { session, machine } = find();
    const { name, way } = machine;
    const ending = new AbortController();
    this.#under.add(ending);
    try {
      return await this.#serial.run(async () => {
        ending.signal.throwIfAborted();
        const adopted = await this.#asBefore(find);
        ending.signal.throwIfAborted();
        const basis = await this.#results.basisOf(adopted.machine);
        const fields = { session, peer: actor.peer, parameters: { name, way } };
        const outcome = await journal.act(
          'machine.rehearse',
          fields,
          () => this.#one(adopted, ending.signal),
          (found) => ({ parameters: { ...fields.parameters, ...found } }),
        );
        await this.#results.note(adopted, outcome, basis);
        return outcome;
      });
    } catch (error) {
      if (error instanceof Ended) throw new Refusal('MachineUnusable', { pid, name, reason: error.message });
      throw error;
    } finally {
      this.#under.delete(ending);
    }
  }

  /**
   * A machine that an update or a rehearsal has in hand no more. It may be stopped still, and would be taken for one that
   * its owner has paused. Or its settings are not back, and would be taken for those of its owner.
   *
   * @throws Refusal MachineUnusable
   */
  async #asBefore(find: () => Adopted): Promise<Adopted> {
    const isAsBefore = ({ machine: { suspended, before } }: Adopted): boolean =>
      !suspended && before === null;
    if (isAsBefore(find())) return find();
    await this.#context.adoptions.stopped.letRunOn();
    const adopted = find();
    if (isAsBefore(adopted)) return adopted;
    const { pid, name } = adopted.machine;
    const reason = 'it is not yet as it was before an update or a rehearsal; that is tried again and again';
    throw new Refusal('MachineUnusable', { pid, name, reason });
  }

  async #one(adopted: Adopted, signal: AbortSignal): Promise<Rehearsal> {
    const outcome = await rehearseMachine(this.#context, adopted, signal);
    return { ...outcome, atUs: this.#context.nowUs(), changed: [] };
  }

  /**
   * Ends those that are under way, and resolves once their guests run and nothing of them is left.
   *
   * @param why for people
   * @throws Error if one is not over in time, as where a file system does not answer
   */
  async end(why: string): Promise<void> {
    for (const each of this.#under) each.abort(new Ended(`its rehearsal was ended: ${why}`));
    const late = (): Error => new Error(`a rehearsal did not end within ${endMs} ms`);
    await inTime(
      this.#serial.run(() => {}),
      endMs,
      late,
    );
  }

  /** Ends what an agent before this one has left. */
  async endLeft(): Promise<void> {
    try {
      await this.#serial.run(async () => {
        const { units, socketDirectory } = this.#context;
        await units.endAll();
        removeMeetingPlaces(socketDirectory, purpose);
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
