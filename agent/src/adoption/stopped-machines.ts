// SPDX-License-Identifier: Apache-2.0
/**
 * Machines that an update has touched. They are marked so in their manifests. Where the update went no further, they are
 * let run on, and get the migration settings back that they had.
 */
import { identify } from '../host/process-files.ts';
import { socketSeenBy } from '../host/seen-by.ts';
import type { MachineHead } from '../liveupdate/machine-head.ts';
import { isAsSaved } from '../qemu/guest-states.ts';
import { letRunMs, VmmMonitor } from '../qemu/migration-monitor.ts';
import { putBackSettings } from '../qemu/migration-settings.ts';
import { type Adopted, type AdoptionContext, adoptedIn } from './adoption-context.ts';

/** How long to wait before a machine is tried again, in ms: its monitor says nothing of itself. */
const againMs = 2000;

/** How often settings are tried to be put back of a machine that runs. Its monitor is its owner's, too. */
const mostTries = 15;

const stillStopped = 'a machine is still stopped';
const settingsFailed = 'the migration settings of a machine are not as before yet';

type StoppedContext = Pick<
  AdoptionContext,
  'native' | 'paths' | 'sessions' | 'bootId' | 'mayLetRunOn' | 'log'
>;

/** What the manifest says of a machine while an update has it in hand. */
export type StoppedMark = Partial<Pick<MachineHead, 'suspended' | 'before'>>;

export class StoppedMachines {
  readonly #context: StoppedContext;
  #timer: NodeJS.Timeout | null = null;

  constructor(context: StoppedContext) {
    this.#context = context;
  }

  /**
   * Lets machines run on that are stopped although no live update is under way, and puts settings back: an agent had them
   * in hand and died, or their monitors did not answer when they were to go on. Those for which that fails are tried again
   * until they can, or have ended.
   *
   * @param tries how often that was tried before
   * @returns the sessions of those that are still stopped
   */
  async letRunOn(tries = 0): Promise<string[]> {
    const touched = adoptedIn(this.#context).filter(
      ({ machine: { suspended, before } }) => suspended || (before !== null && tries < mostTries),
    );
    const done = await Promise.all(touched.map((each) => this.#letOneRunOn(each)));
    if (done.every(Boolean)) return [];
    this.#again(tries + 1);
    return touched.flatMap(({ session }, index) =>
      done[index] === false && this.isStopped(session) ? [session] : [],
    );
  }

  /** Whether the manifest of a machine says that an update has stopped it. */
  isStopped(session: string): boolean {
    return adoptedIn(this.#context).some((each) => each.session === session && each.machine.suspended);
  }

  #again(tries: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      // Not while an update has them in hand, and again as soon as none has.
      if (this.#context.mayLetRunOn()) void this.letRunOn(tries);
      else this.#again(tries);
    }, againMs).unref();
  }

  async #letOneRunOn(adopted: Adopted): Promise<boolean> {
    const { native, paths, log } = this.#context;
    const { session, machine } = adopted;
    const { pid } = machine;
    const now = await identify(paths.proc, machine.pid);
    if (now?.startTime !== machine.startTime) return true;
    let failed = machine.suspended ? stillStopped : settingsFailed;
    try {
      const path = socketSeenBy(paths.proc, pid, machine.monitor);
      using monitor = await VmmMonitor.open({ sockets: native.sockets, path, pid });
      if (machine.suspended || (await this.#isSavedForNobody(adopted, monitor))) {
        failed = stillStopped;
        await this.#goOn(adopted, monitor);
      }
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
