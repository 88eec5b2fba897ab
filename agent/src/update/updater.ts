// SPDX-License-Identifier: Apache-2.0
/** Live updates as the service sees them: plan, run, abort, follow. At most one is under way. */
import type { EventEmitter } from 'node:events';
import { Refusal } from '../host/refusal.ts';
import { saidBy } from '../host/said-by.ts';
import { Serial } from '../host/serial.ts';
import { NotEnded } from '../host/unended.ts';
import type { Peer, Plan, Progress, Update } from '../interface/agent.generated.ts';
import { checkCommandLine, inheritedCommandLine } from '../kernel/loader.ts';
import { shorten } from '../liveupdate/tokens.ts';
import { Departure } from './depart/departure.ts';
import { Leftovers } from './depart/leftovers.ts';
import { type MadePlan, makePlan, type PlanWishes, whatChanged } from './plan/plan.ts';
import { preflight } from './plan/preflight.ts';
import { silentPlace } from './plan/silent-places.ts';
import type { ProgressBoard } from './record/progress.ts';
import type { UpdateContext } from './record/update-context.ts';

/** Plans that are remembered of each user; older ones are forgotten, of that user only. */
const rememberedPlans = 16;

/** How long a kernel image may take to be examined, in ms: it is unpacked, on a slow host in some seconds. */
const examineMs = 60_000;

export class Updater {
  readonly #context: UpdateContext;
  readonly #board: ProgressBoard;
  readonly #plans = new Map<string, MadePlan & { readonly uid: number }>();
  /** One after the other: the checks look at every process of the host. */
  readonly #planning = new Serial();
  #departure: Departure | null = null;
  /** What the last update could not undo; null if nothing is left of it. */
  #leftovers: Leftovers | null = null;
  /** Set once the agent is to end: no update begins then. */
  #stopping = false;
  /** Ends the start of an update that has not begun yet; null if none is about to begin. */
  #starting: AbortController | null = null;

  constructor(context: UpdateContext, board: ProgressBoard) {
    this.#context = context;
    this.#board = board;
  }

  /** Whether an update is about to begin. */
  get starting(): boolean {
    return this.#starting !== null || this.#stopping;
  }

  /** Emits `changed` with every progress. */
  get events(): EventEmitter {
    return this.#board.events;
  }

  get progress(): Progress | null {
    return this.#board.progress;
  }

  /** Resolves when the update under way is settled here; at once if there is none. */
  get settled(): Promise<unknown> {
    return this.#departure?.settled ?? Promise.resolve();
  }

  /** The id of the newest update, or null. */
  get lastUpdate(): string | null {
    return this.#context.history.lastId;
  }

  /** The command line for a kernel whose caller names none: the running kernel's. */
  get usualCommandLine(): string {
    const { kernel, paths } = this.#context;
    return inheritedCommandLine(kernel.facts.commandLine, paths.carrier);
  }

  /**
   * Makes a plan for a kernel. Changes nothing.
   *
   * @throws Refusal FileUnusable, also if a file system does not answer that is looked at; InvalidValue for a command line that no kernel takes, or a file that is none of
   *   the installed kernels from somebody who may only look: the agent would read it with its own rights.
   */
  async plan(
    kernel: string,
    initrd: string | null,
    commandLine: string | null,
    wishes: PlanWishes,
    peer: Peer,
  ): Promise<Plan> {
    if (commandLine !== null) checkCommandLine(commandLine);
    if (peer.role === 'viewer') {
      this.#needInstalled('kernel', kernel);
      if (initrd !== null) this.#needInstalled('initrd', initrd);
    }
    const { images, unended } = this.#context;
    const silent = await silentPlace(this.#context, [kernel, ...(initrd === null ? [] : [initrd])]);
    if (silent !== null) throw new Refusal('FileUnusable', { ...silent, errno: 'ETIMEDOUT' });
    const image = await unended.waitForOne(`examining ${kernel}`, () => images.describe(kernel, initrd), {
      limitMs: examineMs,
    });
    const made = await this.#planning.run(() =>
      makePlan(this.#context, image, commandLine ?? this.usualCommandLine, wishes),
    );
    this.#plans.set(made.plan.id, { ...made, uid: peer.uid });
    const theirs = [...this.#plans].filter(([, { uid }]) => uid === peer.uid).map(([id]) => id);
    for (const id of theirs.slice(0, -rememberedPlans)) this.#plans.delete(id);
    return made.plan;
  }

  #needInstalled(parameter: string, path: string): void {
    if (this.#context.images.isInstalled(path)) return;
    const expected = `one of those in ${this.#context.paths.boot}: other files may be named by operators only`;
    throw new Refusal('InvalidValue', { parameter, value: shorten(path), expected });
  }

  /**
   * Starts a plan. It goes on whether or not anybody follows. What an update before could not undo is undone first.
   *
   * @throws Refusal PlanNotFound, PlanStale, PlanNotRunnable, WrongPhase
   */
  async start(id: string, graceSeconds: number, peer: Peer): Promise<Departure> {
    const made = this.#plans.get(id);
    if (!made) throw new Refusal('PlanNotFound', { plan: id });
    const { phases } = this.#context;
    if (this.#starting !== null || phases.phase !== 'normal') {
      throw new Refusal('WrongPhase', {
        phase: phases.phase,
        needed: 'normal, with no other update starting',
      });
    }
    this.#needToStay();
    // It has two VMMs for a moment, and the plan knows one.
    if (this.#context.renewsMachine())
      throw new Refusal('WrongPhase', { phase: phases.phase, needed: 'no machine being renewed' });
    const starting = new AbortController();
    this.#starting = starting;
    try {
      await this.#needRunnable(made, starting.signal);
      // Its plan does not have that machine, and the kexec would end it.
      if (this.#context.startsMachine())
        throw new Refusal('WrongPhase', { phase: phases.phase, needed: 'no held machine being started' });
      // It may have been told to end meanwhile.
      this.#needToStay();
      this.#plans.delete(id);
      const departure = new Departure(this.#context, this.#board, { made, graceSeconds, peer });
      this.#departure = departure;
      const forget = (): void => {
        if (this.#departure === departure) this.#departure = null;
        if (departure.steps.left.length > 0) this.#keep(departure);
      };
      departure.settled.then(forget, forget);
      return departure;
    } finally {
      this.#starting = null;
    }
  }

  /**
   * Makes sure that a plan can begin now. It only looks, but for what the update before has left.
   *
   * @param signal ends that
   * @throws Refusal PlanStale, PlanNotRunnable
   */
  async #needRunnable(made: MadePlan, signal: AbortSignal): Promise<void> {
    const plan = made.plan.id;
    const looking = this.#whyNotRunnable(made);
    const refuse = (reason: string): never => {
      throw new Refusal('PlanNotRunnable', { plan, reason });
    };
    try {
      const reason = await this.#context.unended.waitFor('looking at the host for an update', looking, {
        signal,
      });
      if (reason !== null) refuse(reason);
    } catch (error) {
      if (signal.aborted) refuse(`aborted before it began: ${saidBy(signal.reason)}`);
      if (error instanceof NotEnded) refuse(error.message);
      throw error;
    }
  }

  /** @returns why a plan cannot begin, in words; null if it can. @throws Refusal PlanStale; NotEnded */
  async #whyNotRunnable(made: MadePlan): Promise<string | null> {
    const { kernel, ...plan } = made.plan;
    const silent = await silentPlace(this.#context, [
      kernel.path,
      ...(kernel.initrd === null ? [] : [kernel.initrd]),
    ]);
    if (silent !== null) return `${silent.path}: ${silent.reason}`;
    await this.#context.endRehearsals('an update begins');
    const left = (await this.#leftovers?.tryNow()) ?? [];
    if (left.length > 0) return `the update before is not undone: ${left.join('; ')}`;
    // One that is stopped still would be taken for one that its owner has paused.
    const stopped = await this.#context.adoptions.stopped.letRunOn();
    if (stopped.length > 0) return `still stopped since the update before: ${stopped.join(', ')}`;
    const changed = await whatChanged(this.#context, made);
    if (changed !== null) throw new Refusal('PlanStale', { plan: plan.id, changed });
    const checks = await preflight(this.#context, {
      image: kernel,
      commandLine: plan.commandLine,
      machines: plan.machines,
      graph: plan.graph,
      leave: made.leave,
      despite: made.despite,
      obstacles: made.obstacles,
      vmms: made.vmms,
      fillingBytes: made.fillingBytes,
      stopLimitUs: plan.stopLimitUs,
    });
    const failed = checks.filter(({ verdict }) => verdict === 'fail');
    return failed.length === 0 ? null : failed.map(({ name, detail }) => `${name}: ${detail}`).join('; ');
  }

  /** @throws Refusal WrongPhase if the agent is to end */
  #needToStay(): void {
    const { phase } = this.#context.phases;
    if (this.#stopping) throw new Refusal('WrongPhase', { phase, needed: 'an agent that is not stopping' });
  }

  /** Keeps what an update could not undo, for more attempts. */
  #keep({ id, steps }: Departure): void {
    const { log } = this.#context;
    log('error', 'an update is not undone yet', { update: id, steps: steps.left });
    this.#leftovers = new Leftovers({
      ...{ update: id, steps },
      told: (problems) => {
        if (problems.length > 0) log('error', 'an update is not undone yet', { update: id, problems });
        else log('info', 'an update is undone now', { update: id });
        if (problems.length === 0 && this.#leftovers?.update === id) this.#leftovers = null;
      },
    });
  }

  /**
   * Aborts the update under way and resolves once everything it did is undone. With none under way, what the last one
   * could not undo is tried again. One that is about to begin does not begin, and is told the reason.
   *
   * @param closeSessions also releases every machine and closes every session, which ends the protection of what
   *   they hold.
   * @throws Refusal NothingToAbort, WrongPhase; KernelCallFailed if something still cannot be undone
   */
  async abort(reason: string, closeSessions: boolean, peer: Peer): Promise<Update> {
    const { phases, sessions, journal, adoptions } = this.#context;
    const departure = this.#departure;
    const leftovers = this.#leftovers;
    const id = departure?.id ?? leftovers?.update;
    // One that is about to begin has done nothing yet, and does not begin.
    this.#starting?.abort(new Error(reason));
    if (id === undefined) throw new Refusal('NothingToAbort', { phase: phases.phase });
    const fields = { peer: { ...peer }, update: id, parameters: { reason, closeSessions } };
    return await journal.giveBack('update.abort', fields, async () => {
      const update = (await departure?.abort(reason)) ?? (await this.#undoLeft(id));
      if (closeSessions) {
        const actor = { peer: { ...peer }, name: peer.user };
        for (const { machine } of adoptions.list()) await adoptions.release(machine.pid, actor);
        for (const { name } of sessions.list()) await sessions.close(name, actor);
      }
      return update;
    });
  }

  /** @throws Refusal KernelCallFailed */
  async #undoLeft(id: string): Promise<Update> {
    const problems = (await this.#leftovers?.tryNow()) ?? [];
    if (problems.length > 0) {
      const argument = this.#leftovers?.left.join(', ') ?? '';
      throw new Refusal('KernelCallFailed', {
        call: 'undo',
        errno: 'EIO',
        argument,
        message: problems.join('; '),
      });
    }
    return this.#context.history.get(id);
  }

  /**
   * Makes sure that no update is under way any more, because the agent is to end: one that has begun is aborted, and its
   * machines run again. One whose reboot call is made is waited for: either the kernel is replaced, or the call comes
   * back and the machines run again. None begins afterwards. It goes on until no machine is stopped any more: nobody else
   * lets them run on.
   *
   * @param reason what the update is told to be aborted for
   * @param waiting told of the sessions of machines that are still stopped, each time they have been tried
   */
  async leaveNone(reason: string, waiting: (sessions: readonly string[]) => void): Promise<void> {
    const { adoptions, journal, log } = this.#context;
    this.#stopping = true;
    const ending = this.#context.endRehearsals('the agent ends');
    await ending.catch((error: unknown) => {
      log('warning', 'a rehearsal may be under way still', { problem: saidBy(error) });
    });
    const departure = this.#departure;
    if (departure !== null && this.#context.phases.phase !== 'normal') {
      const fields = { update: departure.id, parameters: { reason, closeSessions: false } };
      const aborting = journal.giveBack('update.abort', fields, () => departure.abort(reason));
      await aborting.catch((error: unknown) => {
        log('warning', 'the update could not be aborted', { update: departure.id, problem: saidBy(error) });
      });
    }
    await this.settled;
    await adoptions.stopped.letAllRunOn(waiting);
    await this.#leftovers?.tryNow();
  }

  /** Progress of the update under way, or the next one, until it is settled. */
  follow(signal: AbortSignal): ReturnType<ProgressBoard['follow']> {
    return this.#board.follow(signal);
  }
}
