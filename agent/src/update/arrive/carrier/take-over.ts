// SPDX-License-Identifier: Apache-2.0
/**
 * Taking over from the carrier, which has run since the kernel started. Its keeper and its holder have the sessions,
 * and closing the last descriptor of a session frees its memory. So both are ended only once the service manager keeps
 * every session. Where no service manager keeps them, one that has them lives on. If one session cannot be taken, both
 * live on. Unless the carrier is at work: then its keeper is ended in any case, if the holder lives. If it cannot be, no
 * machine is started that it may have in its hands.
 *
 * The sessions are taken as soon as the carrier has them. The agent is ready and answers calls while it works.
 *
 * - It works: it is waited for, machine by machine. Ending it would throw away what it has done.
 * - All is done, or the carrier failed: both processes are ended.
 * - It hangs: its keeper is ended, and its workers with it. Machines that do not run by then are the agent's to start.
 * - Both have ended: the agent was started a second time in this boot, and the descriptor store has the sessions.
 * - Its status has another format: the sessions are taken, and nothing is known of machines.
 */
import type { EventEmitter } from 'node:events';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Native } from '@luo-console/native';
import { unitNameOf } from '../../../adoption/restore.ts';
import type { KnownProcess } from '../../../host/known-process.ts';
import type { Log } from '../../../host/log.ts';
import type { HostPaths } from '../../../host/paths.ts';
import { saidBy } from '../../../host/said-by.ts';
import type { DescriptorStore } from '../../../liveupdate/descriptor-store.ts';
import type { HandedBack } from '../../../liveupdate/intake.ts';
import { sessionEntry } from '../../../liveupdate/stored-names.ts';
import { type CarrierLog, type LoggedMachine, readLog } from '../../program/carrier-log.ts';
import { endOrSay, endWork, openCarrier } from './carrier-processes.ts';
import { keepSessions, namesOf, takeSessions } from './carrier-sessions.ts';
import { type CarrierStatus, readPidFile, readStatus, type StatusMachine } from './carrier-status.ts';
import { CarrierWatch } from './carrier-watch.ts';
import type { Carried, CarriedMachine, CarrierNews, TakenOver } from './taken-over.ts';
import { openVmm } from './vmm-process.ts';

/** How long to wait for others, in ms. */
export interface CarrierLimits {
  /** Without a change in the carrier's status and log. Its own limits are 60 s for a VMM, and 120 s for needs. */
  readonly quietMs: number;
  /** The same while it still retrieves: that takes it a fraction of a second. */
  readonly retrievingMs: number;
  /** For the service manager to take the sessions in. */
  readonly storeMs: number;
  /** For a process that was killed to end. */
  readonly endMs: number;
}

export const usualCarrierLimits: CarrierLimits = {
  quietMs: 125_000,
  retrievingMs: 5000,
  storeMs: 10_000,
  endMs: 5000,
};

export interface TakeOverContext {
  readonly native: Native;
  readonly store: DescriptorStore;
  readonly paths: Pick<HostPaths, 'proc' | 'carrier' | 'carrierDirectory'>;
  readonly log: Log;
  readonly limits: CarrierLimits;
}

/**
 * Takes over what a carrier holds and knows. A failure goes to the log: the agent goes on with what it has.
 *
 * @param handed what the service manager handed in: none of these sessions is taken again
 * @returns null if no carrier ran in this boot
 */
export async function takeOverCarrier(
  context: TakeOverContext,
  handed: readonly HandedBack[],
): Promise<TakenOver | null> {
  const { paths, log } = context;
  try {
    const status = readStatus(paths.carrierDirectory);
    return status && (await TakingOver.begin(context, status, handed));
  } catch (error) {
    log('error', 'the status of the carrier cannot be read', { problem: saidBy(error) });
    return null;
  }
}

/** Those of its processes that have not ended. */
interface Processes {
  readonly keeper: KnownProcess | null;
  readonly holder: KnownProcess | null;
}

/** @throws SystemError of pidfd_open(2) */
function openBoth(context: TakeOverContext, status: CarrierStatus): Processes {
  const keeper = openCarrier(context, status.keeper);
  try {
    return { keeper, holder: openCarrier(context, status.holder) };
  } catch (error) {
    keeper?.[Symbol.dispose]();
    throw error;
  }
}

/** Whether it has all sessions that it will ever have. */
const hasSessions = ({ state }: CarrierStatus): boolean => state !== 'retrieving';

const machineIn = ({ machines }: CarrierStatus, session: string): StatusMachine | undefined =>
  machines.find((each) => each.session === session);

/**
 * Whether the carrier does nothing more with the machine of a session, or never had it. The status names all machines or
 * none: those are still to be read then.
 */
function isThrough(status: CarrierStatus, session: string): boolean {
  if (!status.known || status.machines.length === 0) return false;
  return machineIn(status, session)?.through !== false;
}

class TakingOver implements TakenOver {
  readonly sessions: HandedBack[] = [];
  readonly #context: TakeOverContext;
  readonly #status: CarrierStatus;
  readonly #keeper: KnownProcess | null;
  readonly #holder: KnownProcess | null;
  readonly #watch: CarrierWatch;
  /** Which of its processes may be ended: none while it has the last copy of a session. */
  #mayEnd: readonly KnownProcess[] = [];
  #over: Promise<string | null> = Promise.resolve(null);
  #read: { readonly bytes: number; readonly log: CarrierLog } | null = null;

  private constructor(context: TakeOverContext, status: CarrierStatus, processes: Processes) {
    const { native, paths, log, limits } = context;
    const { keeper, holder } = processes;
    this.#context = context;
    this.#status = status;
    this.#keeper = keeper;
    this.#holder = holder;
    const { quietMs, retrievingMs } = limits;
    this.#watch = new CarrierWatch({
      ...{ native, log, keeper, quietMs, retrievingMs },
      directory: paths.carrierDirectory,
    });
  }

  static async begin(
    context: TakeOverContext,
    status: CarrierStatus,
    handed: readonly HandedBack[],
  ): Promise<TakingOver> {
    let processes: Processes = { keeper: null, holder: null };
    const say = (error: unknown): void =>
      context.log('error', 'the agent could not take over from the carrier', { problem: saidBy(error) });
    try {
      processes = openBoth(context, status);
    } catch (error) {
      say(error);
    }
    const taking = new TakingOver(context, status, processes);
    await taking.#takeSessions(namesOf(handed)).catch(say);
    taking.#over = taking.#awaitEnd();
    return taking;
  }

  get events(): EventEmitter {
    return this.#watch.events;
  }

  get over(): Promise<void> {
    return this.#over.then(() => {});
  }

  async machine(session: string): Promise<Carried> {
    let goesOn: string | null = null;
    try {
      await this.#watch.until((status) => isThrough(status, session));
    } catch {
      // The status cannot be read any more. What the end of the carrier tells is all there is.
    }
    const seen = this.#statusOrNull();
    if (seen === null || !isThrough(seen, session)) goesOn = await this.#over;
    const found = machineIn(this.#statusOrNull() ?? this.#status, session);
    try {
      return { machine: found ? this.#whatItDid(found) : null, goesOn };
    } catch (error) {
      // Its VMM may run.
      return { machine: null, goesOn: `what it did is unknown: ${saidBy(error)}` };
    }
  }

  news(): CarrierNews {
    const machines = new Map<string, LoggedMachine>();
    const status = this.#statusOrNull();
    const said = status?.known === true ? this.#readLog() : null;
    for (const { number, session } of status?.machines ?? []) {
      const logged = said?.machines.get(number);
      if (logged) machines.set(session, logged);
    }
    return { bornNs: said?.bornNs ?? null, retrievedNs: said?.retrievedNs ?? null, machines };
  }

  get #isThere(): boolean {
    return this.#keeper !== null || this.#holder !== null;
  }

  /** Has the service manager keep the sessions. */
  async #takeSessions(known: ReadonlySet<string>): Promise<void> {
    if (!this.#isThere) return;
    const { native, store, paths, log, limits } = this.#context;
    const [keeper, holder] = [this.#keeper, this.#holder];
    if (!this.#status.known)
      log('warning', 'the carrier is of another version; nothing is known of its machines');
    await this.#watch.until(hasSessions).catch(() => {});
    const status = this.#statusOrNull();
    // It came to its end while it retrieved. Its workers end with it, and it takes no more sessions.
    const endFirst = holder !== null && (status === null || !hasSessions(status));
    if (endFirst && keeper !== null) await endOrSay(this.#context, keeper);
    const living = [holder, endFirst ? null : keeper].filter((each) => each !== null);
    const { sessions: taken, problems } = takeSessions(native, paths.proc, living, known);
    for (const [name, descriptor] of taken) this.sessions.push({ name: sessionEntry(name), descriptor });
    const { kept, problem } = await keepSessions(store, taken, limits.storeMs);
    const all = problem === null ? problems : [...problems, problem];
    if (all.length > 0) {
      log('error', 'the carrier is left alone, because it has the last copy of a session', { problems: all });
      return;
    }
    if (!kept) log('warning', 'no service manager keeps the sessions; the carrier goes on holding them');
    // One that holds them is enough.
    this.#mayEnd = kept ? living : living.slice(1);
  }

  /** @returns why workers may go on; null if none does */
  async #awaitEnd(): Promise<string | null> {
    const { log } = this.#context;
    using _keeper = this.#keeper;
    using _holder = this.#holder;
    const end = await this.#watch.ended.catch(saidBy);
    if (this.#isThere && end !== 'over')
      log('warning', 'the carrier did not come to its end', { because: end });
    const failed = this.#status.known ? (this.#readLog()?.failed ?? null) : null;
    // What failed is no news for an agent that is started again.
    if (failed !== null) log(this.#isThere ? 'warning' : 'info', 'the carrier failed', { problem: failed });
    let keeperHasEnded = false;
    for (const each of this.#mayEnd) {
      const hasEnded = await endOrSay(this.#context, each);
      if (each === this.#keeper) keeperHasEnded = hasEnded;
    }
    const goesOn = keeperHasEnded ? null : await endWork(this.#context, this.#status);
    if (goesOn !== null)
      log('error', 'machines that the carrier had are not started, because it goes on', { problem: goesOn });
    return goesOn;
  }

  #statusOrNull(): CarrierStatus | null {
    try {
      return readStatus(this.#context.paths.carrierDirectory);
    } catch {
      return null;
    }
  }

  /** Reads the log, if there is more of it than the last time. */
  #readLog(): CarrierLog | null {
    const { native, paths, log } = this.#context;
    try {
      const bytes = statSync(join(paths.carrierDirectory, 'log'), { throwIfNoEntry: false })?.size ?? 0;
      if (this.#read?.bytes !== bytes)
        this.#read = { bytes, log: readLog(paths.carrierDirectory, native.kernel.clock('boottime')) };
      return this.#read.log;
    } catch (error) {
      log('error', 'what the carrier did is unknown', { problem: saidBy(error) });
      return null;
    }
  }

  #whatItDid({ number, pid, session }: StatusMachine): CarriedMachine {
    const { native, paths } = this.#context;
    const directory = paths.carrierDirectory;
    const files = { pidFile: join(directory, `${number}.pid`), output: join(directory, `${number}.out`) };
    const logged = this.#readLog()?.machines.get(number);
    const { reached = new Map(), failed = null } = logged ?? {};
    const { waited = [], done = [], failedAt = null } = logged ?? {};
    const log = { waited, done, failedAt };
    const vmm = pid ?? readPidFile(files.pidFile);
    using alive = vmm === null ? null : openVmm(native, paths.proc, vmm, unitNameOf({ session }));
    return { pid: alive?.pid ?? null, startedPid: vmm, files, reached, failed, log };
  }
}
