// SPDX-License-Identifier: Apache-2.0
/**
 * Machines that an update has touched. They are marked so in their manifests. Where the update went no further, they are
 * let run on, and get the migration settings back that they had.
 *
 * That is tried without end. A machine that is stopped waits for it. One that runs may go wrong at its next migration: with
 * `mode` still `cpr-transfer` QEMU aborts. But its monitor is its owner's, so the pauses grow.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { identify } from '../host/process-files.ts';
import { saidBy } from '../host/said-by.ts';
import type { StoppedMark } from '../liveupdate/machine-head.ts';
import { isAsSaved, isLive } from '../qemu/guest-states.ts';
import { letRunMs, VmmMonitor } from '../qemu/migration-monitor.ts';
import { putBackSettings } from '../qemu/migration-settings.ts';
import { type Adopted, type AdoptionContext, adoptedIn } from './adoption-context.ts';
import { type LeftContext, monitorPlace, settleRenewal } from './replaced-vmm.ts';

/** How long to wait before a stopped machine is tried again, in ms: its monitor says nothing of itself. */
const againMs = 2000;

/** The same for the settings of a machine that runs. The last pause is used from then on. */
const settingsPausesMs: readonly number[] = [2000, 5000, 15_000, 30_000, 60_000];

const stillStopped = 'a machine is still stopped';
const unsettled = 'it is not settled yet which VMM a machine has';
const settingsFailed = 'the migration settings of a machine are not as before yet';

type StoppedContext = Pick<
  AdoptionContext,
  'native' | 'paths' | 'bootId' | 'mayLetRunOn' | 'renewals' | 'log'
> & {
  readonly sessions: Pick<AdoptionContext['sessions'], 'get' | 'has' | 'list' | 'touched'>;
  /** Enters another process as a machine's VMM. */
  moved(session: string, pid: number): Promise<void>;
};

interface Attempt {
  /** How often its settings could not be put back. */
  readonly failures: number;
  readonly timer: NodeJS.Timeout;
}

export class StoppedMachines {
  readonly #context: StoppedContext;
  /** Machines that are tried again, by session. */
  readonly #again = new Map<string, Attempt>();
  /** Attempts under way: a monitor has room for one. */
  readonly #trying = new Map<string, Promise<boolean>>();
  #isClosed = false;

  constructor(context: StoppedContext) {
    this.#context = context;
  }

  /**
   * Lets machines run on that are stopped although no live update is under way, and puts settings back: an agent had them
   * in hand and died, or their monitors did not answer when they were to go on. Those for which that fails are tried again
   * until they can, or have ended.
   *
   * @returns the sessions of those that are still stopped
   */
  async letRunOn(): Promise<string[]> {
    const touched = this.#touched.map(({ session }) => session);
    const done = await Promise.all(touched.map((session) => this.#try(session)));
    return touched.filter((session, index) => done[index] === false && this.isStopped(session));
  }

  /**
   * Lets machines run on until none is stopped any more, or its VMM has ended. There is no limit: nobody else does it.
   *
   * @param waiting told each time of the sessions of those that are still stopped
   * @param over ends it: somebody else goes on
   */
  async letAllRunOn(waiting: (sessions: readonly string[]) => void, over?: AbortSignal): Promise<void> {
    for (;;) {
      const stopped = await this.letRunOn();
      if (stopped.length === 0 || over?.aborted === true) return;
      waiting(stopped);
      await delay(againMs, undefined, over && { signal: over }).catch(() => {});
    }
  }

  /** Tries nothing again by itself from now on. */
  close(): void {
    this.#isClosed = true;
    for (const { timer } of this.#again.values()) clearTimeout(timer);
  }

  /** Whether the manifest of a machine says that an update has stopped it. */
  isStopped(session: string): boolean {
    return adoptedIn(this.#context).some((each) => each.session === session && each.machine.suspended);
  }

  /** Machines that an update has in hand, or that are not as they were before one. */
  get #touched(): Adopted[] {
    const { renewals } = this.#context;
    return adoptedIn(this.#context).filter(
      ({ session, machine: { suspended, before, renewal } }) =>
        (suspended || before !== null || renewal) && !renewals.isUnder(session),
    );
  }

  /** Machines that are not as before the last update, and are tried again. Asked while no update is under way. */
  get notAsBefore(): readonly Adopted[] {
    return this.#touched.filter(({ session }) => this.#again.has(session));
  }

  /** @returns whether it is as before, or has ended */
  async #try(session: string): Promise<boolean> {
    const trying = this.#trying.get(session) ?? this.#tryNow(session);
    this.#trying.set(session, trying);
    try {
      return await trying;
    } finally {
      this.#trying.delete(session);
    }
  }

  async #tryNow(session: string): Promise<boolean> {
    const isDone = await this.#letRunOnSettled(session);
    const before = this.#again.get(session);
    clearTimeout(before?.timer);
    this.#again.delete(session);
    if (!isDone) this.#tryLater(session, before?.failures ?? 0);
    if (isDone === (before !== undefined)) this.#context.sessions.touched();
    return isDone;
  }

  #tryLater(session: string, failures: number): void {
    if (this.#isClosed) return;
    const isStopped = this.isStopped(session);
    const growing = settingsPausesMs[Math.min(failures, settingsPausesMs.length - 1)] ?? againMs;
    const timer = setTimeout(
      () => {
        // Not while an update has them in hand, and again as soon as none has.
        if (this.#context.mayLetRunOn()) void this.#try(session);
        else this.#tryLater(session, failures);
      },
      isStopped ? againMs : growing,
    ).unref();
    this.#again.set(session, { failures: isStopped ? failures : failures + 1, timer });
  }

  /** A machine whose VMM was being replaced first has the one that it is to have. */
  async #letRunOnSettled(session: string): Promise<boolean> {
    const find = (): Adopted | undefined => this.#touched.find((each) => each.session === session);
    const found = find();
    if (found?.machine.renewal) {
      try {
        await settleRenewal(this.#left, found);
      } catch (error) {
        this.#context.log('error', unsettled, { session, problem: saidBy(error) });
        return false;
      }
    }
    const adopted = find();
    if (adopted === undefined) return true;
    const runs = await this.#letOneRunOn(adopted);
    // It runs, and its VMM does not have its names back yet.
    return runs && !adopted.machine.renewal;
  }

  get #left(): LeftContext {
    const { renewals, ...context } = this.#context;
    const { starter, mayHaveRun } = renewals;
    return { ...context, starter, mayHaveRun, mark: this.mark.bind(this) };
  }

  async #letOneRunOn(adopted: Adopted): Promise<boolean> {
    const { native, paths, log } = this.#context;
    const { session, machine } = adopted;
    const { pid } = machine;
    let failed = machine.suspended ? stillStopped : settingsFailed;
    try {
      const now = await identify(paths.proc, pid);
      if (now?.startTime !== machine.startTime) return true;
      const path = monitorPlace(paths.proc, machine);
      using monitor = await VmmMonitor.open({ sockets: native.sockets, path, pid });
      if (machine.suspended || (await this.#isSavedForNobody(adopted, monitor))) {
        failed = stillStopped;
        await this.#goOn(adopted, monitor);
      } else await this.#noteThatItRuns(adopted, monitor);
      failed = settingsFailed;
      if (machine.before !== null) {
        await putBackSettings(monitor, machine.before.settings);
        this.mark(session, { before: null });
      }
      return true;
    } catch (error) {
      log('error', failed, { session, problem: String(error) });
      return false;
    }
  }

  /**
   * Whether a guest is stopped that no agent has marked. QEMU takes the end of the CPR connection for the sign to stop its
   * guest and to send its state. An agent that dies ends that connection, and what QEMU sends then nobody gets.
   */
  async #isSavedForNobody({ session, machine }: Adopted, monitor: VmmMonitor): Promise<boolean> {
    // Once it runs that is noted: what is saved then somebody else has saved, and migrated away.
    if (machine.before?.ran !== true || !machine.before.saving) return false;
    if (!isAsSaved(await monitor.status(AbortSignal.timeout(letRunMs)))) return false;
    this.mark(session, { suspended: true });
    return true;
  }

  /**
   * Notes of a guest that runs that the agent does not save it any more. QEMU may be about to stop it for the agent as long
   * as it has not connected to where the state goes. Whatever else it saves from now on it saves for somebody else.
   */
  async #noteThatItRuns({ session, machine: { before } }: Adopted, monitor: VmmMonitor): Promise<void> {
    if (before === null || !before.saving) return;
    const signal = AbortSignal.timeout(letRunMs);
    if (!isLive(await monitor.status(signal)) || (await monitor.migrationNow(signal)) === 'setup') return;
    this.mark(session, { before: { ...before, saving: false } });
  }

  /** Lets the guest run that ran before it was stopped. A head of an earlier agent does not say whether it did. */
  async #goOn({ session, machine }: Adopted, monitor: VmmMonitor): Promise<void> {
    const { log, sessions } = this.#context;
    if (machine.before?.ran === false)
      log('info', 'a machine does not run, as before the update', { session });
    else {
      const saving = machine.before?.saving ?? true;
      const instead = await monitor.letRunOn(AbortSignal.timeout(letRunMs), saving);
      if (instead === null) log('warning', 'let a stopped machine run on', { session });
      else log('warning', 'a machine that was stopped is left as it is', { session, state: instead });
    }
    const before = machine.before && { ...machine.before, saving: false };
    this.mark(session, { suspended: false, before });
    sessions.touched();
  }

  /** Marks machines as stopped, or as running again, and says how they were before. */
  mark(session: string, change: StoppedMark): void {
    const { sessions } = this.#context;
    if (sessions.has(session)) sessions.get(session).updateMachine(change);
  }
}
