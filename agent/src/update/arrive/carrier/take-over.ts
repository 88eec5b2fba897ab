// SPDX-License-Identifier: Apache-2.0
/**
 * Taking over from the carrier, which has run since the kernel started. Its keeper and its holder have the sessions,
 * and closing the last descriptor of a session frees its memory. So both are ended only once the service manager keeps
 * every session. Where no service manager keeps them, one that has them lives on. If one session cannot be taken, both live on. Unless the carrier is at work: then its keeper is ended
 * in any case, if the holder lives. If it cannot be, no machine is started.
 *
 * - All is done, or the carrier failed: the sessions are taken, and both processes are ended.
 * - It still works: it is waited for. Ending it would throw away what it has done.
 * - It hangs: its keeper is ended, and its workers with it. Machines that do not run by then are the agent's to start.
 * - Both have ended: the agent was started a second time in this boot, and the descriptor store has the sessions.
 * - Its status has another format: the sessions are taken, and nothing is known of machines.
 */
import { join } from 'node:path';
import type { Native } from '@luo-console/native';
import { type RestartLog, type RestartPoint, unitNameOf, type VmmFiles } from '../../../adoption/restore.ts';
import type { Log } from '../../../host/log.ts';
import type { HostPaths } from '../../../host/paths.ts';
import { saidBy } from '../../../host/said-by.ts';
import { type DescriptorStore, parseStoredName, sessionEntry } from '../../../liveupdate/descriptor-store.ts';
import type { HandedBack } from '../../../liveupdate/intake.ts';
import { readLog } from '../../program/carrier-log.ts';
import { endOrSay, endWork, openCarrier } from './carrier-processes.ts';
import { takeSessions } from './carrier-sessions.ts';
import { type CarrierStatus, readPidFile, readStatus } from './carrier-status.ts';
import { carrierEnds } from './carrier-wait.ts';
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

/** What the carrier did for one machine. */
export interface CarriedMachine {
  /** Its VMM, if that is still there. */
  readonly pid: number | null;
  /** The number that its VMM had or has; null if none was started. */
  readonly startedPid: number | null;
  readonly files: VmmFiles;
  /** When it came to each point, ns of `CLOCK_BOOTTIME`. */
  readonly reached: ReadonlyMap<RestartPoint, number>;
  /** Why it failed, in the carrier's words; null if it did not. */
  readonly failed: string | null;
  readonly log: RestartLog;
}

/** What the carrier leaves to the agent. */
export interface TakenOver {
  /** Sessions that were taken from it, under the names that the descriptor store has for them. */
  readonly sessions: readonly HandedBack[];
  /** By the name of the machine's session. */
  readonly machines: ReadonlyMap<string, CarriedMachine>;
  /** When userspace began, ns of `CLOCK_BOOTTIME`; null if that is unknown. */
  readonly bornNs: number | null;
  /** When everything was retrieved, likewise. */
  readonly retrievedNs: number | null;
  /** Why its workers may go on: then no machine is started. Null if none does. */
  readonly goesOn: string | null;
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
  let status: CarrierStatus | null;
  try {
    status = readStatus(paths.carrierDirectory);
  } catch (error) {
    log('error', 'the status of the carrier cannot be read', { problem: saidBy(error) });
    return null;
  }
  if (status === null) return null;
  const sessions: HandedBack[] = [];
  let there = true;
  try {
    there = await takeFrom(context, status, handed, sessions);
  } catch (error) {
    log('error', 'the agent could not take over from the carrier', { problem: saidBy(error) });
  }
  const goesOn = await endWork(context, status);
  if (goesOn !== null)
    log('error', 'no machine is started, because the carrier goes on', { problem: goesOn });
  return { sessions, goesOn, ...whatItDid(context, status, there) };
}

/**
 * @param sessions takes what is taken, so that nothing is forgotten if something fails later
 * @returns whether a process of the carrier was there
 */
async function takeFrom(
  context: TakeOverContext,
  status: CarrierStatus,
  handed: readonly HandedBack[],
  sessions: HandedBack[],
): Promise<boolean> {
  const { native, paths, log, limits } = context;
  using keeper = openCarrier(context, status.keeper);
  using holder = openCarrier(context, status.holder);
  if (keeper === null && holder === null) return false;
  if (!status.known) log('warning', 'the carrier is of another version; nothing is known of its machines');
  const { quietMs, retrievingMs } = limits;
  const directory = paths.carrierDirectory;
  const end = await carrierEnds({ native, log, directory, keeper, quietMs, retrievingMs }).catch(saidBy);
  if (end !== 'over') log('warning', 'the carrier did not come to its end', { because: end });
  // Its workers end with it, so that none of them goes on with a machine that the agent looks at.
  const endFirst = end !== 'over' && end !== 'keeper ended' && holder !== null;
  if (endFirst && keeper !== null) await endOrSay(context, keeper);
  const gone = endFirst || end === 'keeper ended';
  const living = [holder, gone ? null : keeper].filter((each) => each !== null);
  const { sessions: taken, problems } = takeSessions(native, paths.proc, living, namesOf(handed));
  for (const [name, descriptor] of taken) sessions.push({ name: sessionEntry(name), descriptor });
  const { kept, problem } = await keepAll(context, taken);
  const all = problem === null ? problems : [...problems, problem];
  if (all.length > 0) {
    log('error', 'the carrier is left alone, because it has the last copy of a session', { problems: all });
    return true;
  }
  if (!kept) log('warning', 'no service manager keeps the sessions; the carrier goes on holding them');
  // One that holds them is enough.
  for (const each of kept ? living : living.slice(1)) await endOrSay(context, each);
  return true;
}

const namesOf = (handed: readonly HandedBack[]): Set<string> =>
  new Set(
    handed.flatMap(({ name }) => {
      const stored = parseStoredName(name);
      return stored.kind === 'session' ? [stored.session] : [];
    }),
  );

/**
 * Has the service manager keep the sessions.
 *
 * @returns whether somebody keeps them beside the agent, and what went wrong; null if nothing did
 */
async function keepAll(
  { store, limits }: TakeOverContext,
  taken: ReturnType<typeof takeSessions>['sessions'],
): Promise<{ kept: boolean; problem: string | null }> {
  if (taken.size === 0) return { kept: true, problem: null };
  const over = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => over.reject(new Error(`the service manager did not answer in ${limits.storeMs} ms`)),
    limits.storeMs,
  );
  try {
    store.needRoom(taken.size);
    for (const [name, descriptor] of taken) store.keepSession(name, descriptor);
    return { kept: await Promise.race([store.settled(), over.promise]), problem: null };
  } catch (error) {
    return { kept: false, problem: saidBy(error) };
  } finally {
    clearTimeout(timer);
  }
}

/**
 * What status and log say once nothing changes in them any more.
 *
 * @param there whether a process of the carrier was there: what failed is no news for an agent that is started again
 */
function whatItDid(
  context: TakeOverContext,
  before: CarrierStatus,
  there: boolean,
): Pick<TakenOver, 'machines' | 'bornNs' | 'retrievedNs'> {
  const { native, paths, log } = context;
  const directory = paths.carrierDirectory;
  const machines = new Map<string, CarriedMachine>();
  try {
    const status = readStatus(directory) ?? before;
    if (!status.known) return { machines, bornNs: null, retrievedNs: null };
    const said = readLog(directory, native.kernel.clock('boottime'));
    if (said.failed !== null) log(there ? 'warning' : 'info', 'the carrier failed', { problem: said.failed });
    for (const { number, pid, session } of status.machines) {
      const files = { pidFile: join(directory, `${number}.pid`), output: join(directory, `${number}.out`) };
      const logged = said.machines.get(number);
      const { reached = new Map(), failed = null } = logged ?? {};
      const { waited = [], done = [], failedAt = null } = logged ?? {};
      const vmm = pid ?? readPidFile(files.pidFile);
      using alive = vmm === null ? null : openVmm(native, paths.proc, vmm, unitNameOf({ session }));
      const log = { waited, done, failedAt };
      machines.set(session, { pid: alive?.pid ?? null, startedPid: vmm, files, reached, failed, log });
    }
    return { machines, bornNs: said.bornNs, retrievedNs: said.retrievedNs };
  } catch (error) {
    log('error', 'what the carrier did is unknown', { problem: saidBy(error) });
    return { machines, bornNs: null, retrievedNs: null };
  }
}
