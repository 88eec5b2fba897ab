// SPDX-License-Identifier: Apache-2.0
/** Machines that an update has stopped: marked so in their manifests, and let run on where the update went no further. */
import { identify } from '../host/process-files.ts';
import { socketSeenBy } from '../host/seen-by.ts';
import { letRunMs, VmmMonitor } from '../qemu/migration-monitor.ts';
import { type Adopted, type AdoptionContext, adoptedIn } from './adoption-context.ts';

/** How long to wait before a machine that stands still is tried again, in ms: its monitor says nothing of itself. */
const againMs = 2000;

type StoppedContext = Pick<
  AdoptionContext,
  'native' | 'paths' | 'sessions' | 'bootId' | 'mayLetRunOn' | 'log'
>;

export class StoppedMachines {
  readonly #context: StoppedContext;

  constructor(context: StoppedContext) {
    this.#context = context;
  }

  /**
   * Lets machines run on that stand still although no live update is under way: an agent stopped them and died, or
   * their monitors did not answer when they were to go on. Those that cannot be let go on now are tried again until
   * they can, or have ended.
   */
  async letRunOn(): Promise<void> {
    const stopped = adoptedIn(this.#context).filter(({ machine }) => machine.suspended);
    const done = await Promise.all(stopped.map((each) => this.#letOneRunOn(each)));
    if (done.every(Boolean)) return;
    setTimeout(() => {
      if (this.#context.mayLetRunOn()) void this.letRunOn();
    }, againMs).unref();
  }

  async #letOneRunOn({ session, machine }: Adopted): Promise<boolean> {
    const { native, paths, log } = this.#context;
    const { pid } = machine;
    const now = await identify(paths.proc, machine.pid);
    if (now?.startTime !== machine.startTime) return true;
    try {
      const path = socketSeenBy(paths.proc, pid, machine.monitor);
      using monitor = await VmmMonitor.open({ sockets: native.sockets, path, pid });
      if (!(await monitor.isRunning())) await monitor.run(AbortSignal.timeout(letRunMs));
      this.mark(session, false);
      this.#context.sessions.touched();
      log('warning', 'let a stopped machine run on', { session });
      return true;
    } catch (error) {
      log('error', 'a machine is still stopped', { session, problem: String(error) });
      return false;
    }
  }

  /** Marks machines as standing still, or as running again. */
  mark(session: string, suspended: boolean): void {
    const { sessions } = this.#context;
    if (sessions.has(session)) sessions.get(session).updateMachine({ suspended });
  }
}
