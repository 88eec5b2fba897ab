// SPDX-License-Identifier: Apache-2.0
/**
 * Renewals of adopted machines: one at a time, none in an update, and none without a rehearsal that has just passed. That
 * is the check that the new program starts and, where it can be done, that it loads the machine's state.
 */
import type { Adopted } from '../adoption/adoption-context.ts';
import type { Adoptions } from '../adoption/adoptions.ts';
import { inTime } from '../host/in-time.ts';
import { Refusal } from '../host/refusal.ts';
import { saidBy } from '../host/said-by.ts';
import { Serial } from '../host/serial.ts';
import { removeMeetingPlaces } from '../host/socket-directory.ts';
import type { Rehearsal, Renewal, RenewalStage } from '../interface/agent.generated.ts';
import { type Journal, JournalUnwritable } from '../journal/index.ts';
import type { Actor } from '../liveupdate/live-update-context.ts';
import type { Rehearsals } from '../rehearsal/rehearsals.ts';
import { purpose, type RenewalContext } from './make-ready.ts';
import { renewMachine } from './renew-machine.ts';

export interface RenewalsContext extends RenewalContext {
  readonly journal: Journal;
  readonly adoptions: RenewalContext['adoptions'] & Pick<Adoptions, 'list' | 'stopped' | 'takeOver'>;
  readonly rehearsals: Pick<Rehearsals, 'rehearse'>;
  /** @throws Refusal WrongPhase unless the host is in phase *normal*, and no update is about to begin */
  needNormal(): void;
}

/** How long the end of renewals is waited for at a time, in ms. */
const endMs = 20_000;

/** Why a rehearsal does not say that the machine's new VMM would run; null if it does. */
function whyNotRehearsed({ problem, startUs, left }: Rehearsal): string | null {
  if (problem !== null) return `its rehearsal failed: ${problem}`;
  return startUs === null ? `its rehearsal had no result: ${left.join('; ')}` : null;
}

export class Renewals {
  readonly #context: RenewalsContext;
  readonly #serial = new Serial();
  readonly #under = new Set<AbortController>();
  /** Sessions of machines that are in hand. */
  readonly #inHand = new Set<string>();
  /** How far the one is that is under way. */
  #stage: RenewalStage | null = null;
  #isOver = false;

  constructor(context: RenewalsContext) {
    this.#context = context;
  }

  /** Whether a machine is being renewed by this agent: nobody else is to let it run, or to end its session. */
  isUnder(session: string): boolean {
    return this.#inHand.has(session);
  }

  /** Whether any is: no update may begin meanwhile. */
  get busy(): boolean {
    return this.#inHand.size > 0;
  }

  /** Whether a machine may have a VMM whose monitor is the carrier's. */
  get isStarting(): boolean {
    return this.#stage === 'saving' || this.#stage === 'starting';
  }

  /** Sessions of machines in hand whose guest is stopped: nobody else lets them run. */
  get stopped(): readonly string[] {
    const { adoptions } = this.#context;
    return [...this.#inHand].filter((session) => adoptions.stopped.isStopped(session));
  }

  /**
   * Renews an adopted machine.
   *
   * @param limitUs longest that its guest may be stopped before it is told to run
   * @param told of each stage
   * @throws Refusal MachineUnusable if it cannot be renewed, and nothing was changed; NoSuchProcess; WrongPhase
   */
  async renew(
    pid: number,
    limitUs: number,
    actor: Actor,
    told: (stage: RenewalStage) => void,
  ): Promise<Renewal> {
    this.#context.needNormal();
    const { name } = this.#adopted(pid).machine;
    const unusable = (reason: string): Refusal => new Refusal('MachineUnusable', { pid, name, reason });
    if (this.#isOver) throw unusable('the agent ends');
    const ending = new AbortController();
    this.#under.add(ending);
    try {
      return await this.#serial.run(async () => {
        ending.signal.throwIfAborted();
        told('rehearsing');
        const rehearsal = await this.#context.rehearsals.rehearse(pid, actor);
        const why = whyNotRehearsed(rehearsal);
        if (why !== null) throw unusable(why);
        ending.signal.throwIfAborted();
        return await this.#one(pid, actor, { limitUs, told, signal: ending.signal });
      });
    } catch (error) {
      throw error instanceof Refusal || error instanceof JournalUnwritable ? error : unusable(saidBy(error));
    } finally {
      this.#under.delete(ending);
    }
  }

  async #one(
    pid: number,
    actor: Actor,
    options: {
      readonly limitUs: number;
      readonly signal: AbortSignal;
      told(stage: RenewalStage): void;
    },
  ): Promise<Renewal> {
    const { adoptions, journal, look, needNormal } = this.#context;
    const machine = await look(pid);
    needNormal();
    const adopted = this.#adopted(pid);
    const { session, machine: head } = adopted;
    const { name, way, suspended, before, command } = head;
    if (suspended || before !== null) {
      const reason = 'it is not yet as it was before its rehearsal; that is tried again and again';
      throw new Refusal('MachineUnusable', { pid, name, reason });
    }
    if (head.renewal) {
      const reason = 'its last renewal is not complete yet; what is left of it is tried again and again';
      throw new Refusal('MachineUnusable', { pid, name, reason });
    }
    const parameters = { name, way, program: command.program };
    const fields = { session, peer: actor.peer, parameters };
    const told = (stage: RenewalStage): void => {
      this.#stage = stage;
      options.told(stage);
    };
    this.#inHand.add(session);
    try {
      return await journal.act(
        'machine.renew',
        fields,
        () => renewMachine(this.#context, { ...options, told, adopted, machine }),
        (renewal) => ({ parameters: { ...parameters, ...renewal } }),
      );
    } finally {
      this.#inHand.delete(session);
      this.#stage = null;
      // Settings of the new VMM, and whatever could not be done.
      await adoptions.stopped.letRunOn();
      await adoptions.takeOver();
    }
  }

  #adopted(pid: number): Adopted {
    const found = this.#context.adoptions.list().find(({ machine }) => machine.pid === pid);
    if (found) return found;
    const reason = 'it is not adopted, so its memory and its command line are not known to fit a new VMM';
    throw new Refusal('MachineUnusable', { pid, name: `${pid}`, reason });
  }

  /**
   * Ends what is under way, for good: a machine whose guest was not let run by its new VMM yet runs on in its old one.
   * It may be called again.
   *
   * @throws Error if one is not over in time
   */
  async end(why: string): Promise<void> {
    this.#isOver = true;
    for (const each of this.#under) each.abort(new Error(`its renewal was ended: ${why}`));
    const late = (): Error => new Error(`a renewal did not end within ${endMs} ms`);
    await inTime(
      this.#serial.run(() => {}),
      endMs,
      late,
    );
  }

  /** Removes what an agent before this one has left, except where a machine is not settled yet. */
  removeLeft(): void {
    const { adoptions, socketDirectory, log } = this.#context;
    try {
      const used = new Set(adoptions.list().map(({ machine }) => machine.renewal?.directory));
      removeMeetingPlaces(socketDirectory, purpose, (path) => used.has(path));
    } catch (error) {
      log('warning', 'what renewals have left is not removed', { problem: saidBy(error) });
    }
  }
}
