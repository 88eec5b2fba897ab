// SPDX-License-Identifier: Apache-2.0
/**
 * The first things the agent does, and the lifecycle of its start.
 *
 *     first things → intake → let run on → journal → retrieve → serve, READY=1 → settle → watch machines
 *         └╌╌ machines are brought back, beside all that ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┘
 *
 * - *first things*: everything that the service manager kept is taken over, and the sessions that a carrier holds
 *   (`carrier/take-over.ts`). If the index session of an update came through the kexec, its machines are brought back
 *   (`resuming.ts`). Those that the carrier has are waited for, each on its own. For others the carrier is started,
 *   for as many at once as there are processors (`start-turns.ts`). This is
 *   a separate module so that Node loads as little as possible before that begins. It reaches neither the journal nor the
 *   service nor the plan.
 * - *intake*: sessions are put together again from the stored descriptors and manifests (`liveupdate/intake.ts`).
 * - *let run on*: guests that a dead agent had stopped in this boot are told to run (`adoption/stopped-machines.ts`).
 *   Nothing on disk is needed until then, and what was done is noted in memory.
 * - *journal*: opened, and read before anything is written in this boot: the newest entry tells which boot was the last.
 * - *retrieve*: an update of this boot without an end gets the outcome *aborted*. Then every session that the index or
 *   the journal names is retrieved.
 * - *serve*: calls are answered, and the service manager hears READY=1. Machines may still be loading. Until they are
 *   through acts are refused, and no monitor is asked.
 * - *settle*: machines are adopted under their new processes as soon as they run. Once all are through: digests,
 *   finishing, outcome. Then machines are watched.
 *
 * A signal does not end a start before stopped machines run (`ending.ts`). One that waits for the device then ends.
 *
 * The agent may die at any point and is started again after 200 ms. VMMs are not its children, so they live on. What
 * it had taken is in the descriptor store, and a mark behind each machine's state says how far it was. A carrier that was
 * at work for it goes on, and is waited for.
 *
 * - The device is busy: machines are worth waiting for, so the agent waits without end (`busy-device.ts`). Those that
 *   an agent of this boot has stopped run on meanwhile (`adoption/stopped-in-store.ts`). It logs who has it, and says it in its `STATUS`. `GetStatus` is answered meanwhile with the same. Every other call is refused
 *   with it (`service/meanwhile.ts`). Upstream's luod, which would keep the device, is started by the service manager
 *   after READY=1 (`Before=` in the unit).
 * - There is no device: nothing has come, and that is no error here. `agent.ts` finds out why, for people who ask.
 * - A carrier ran: the agent takes its sessions and is ready. It waits for each machine until the carrier is through with
 *   it, or has not gone on for 125 s.
 * - A carrier that works cannot be taken over: it is ended. If it cannot be, machines that do not run are held, because
 *   it may be starting them.
 * - The kernel fails to hand over the index: the agent tries for 5 s. The second look, with the journal open, may still
 *   get it; its machines are started then.
 * - People have a session of the index's name: what is in it decides (`record/incoming-index.ts`), and it is held.
 * - A machine does not start: it is held or lost, the others run. The carrier gives up after 60 s without progress. The
 *   agent's own start does not wait for machines. Where it waits, for the device, it asks the service manager for more time.
 * - The journal cannot be opened: machines run, outgoing sessions are held, calls that only look are answered. No act
 *   is accepted, nothing is retrieved by name or settled, and incoming sessions stay in the store. Once the journal is
 *   repaired, the next start does all of it.
 * - The journal is found damaged only when it is read: the same. Nothing is written behind what cannot be read.
 * - The journal's disk hangs: so does the start, until the service manager ends it. Machines run: they came before.
 * - The disk is full: sessions are taken in and retrieved, and an update of this boot is undone and settled. That is
 *   written once there is room. Sessions that came are not finished, and the index is kept for the next start.
 * - No service manager, or one without a store: everything works until the agent ends. Then the kernel closes the
 *   sessions, and the next start names what is lost. Sessions that a carrier brought live on: it goes on holding them.
 * - Second start in the same boot: everything comes from the store, nothing is settled again, and machines that may
 *   have run are not touched. A session that the journal knows and the store does not is looked for, then named as lost.
 *
 * Tests:
 *     agent/test/start.test.ts
 *       waits for the device while somebody else has it open, says who, and refuses what it cannot do yet
 *       asks the service manager for more time until it is ready
 *       lets a machine run on that a dead agent has stopped, while somebody else has the device open
 *       finds no device: everything is named as lost, and the outcome is unknown
 *       retrieves nothing while its journal cannot be written, and everything once it can
 *       that is started a second time in this boot finds everything as it was, and settles nothing again
 *     agent/src/ending.test.ts
 *       while it starts ends once that is done, and machines run that another agent had stopped
 *       while its start waits for the device, %s, ends once machines run
 *     agent/test/damaged-journal.test.ts
 *       runs before the journal is opened, by the agent that finds it stopped
 *       runs although %s is damaged, and the agent answers and says so
 *       is damaged lets machines come back, and the rest once it is mended
 *       turns out to be damaged once the second look has the index lets machines come back, and keeps the index
 *     agent/test/carried-machines.test.ts
 *       runs on in its unit, is not loaded again, and has the times of the carrier
 *       is seen to wait by people whose calls are answered meanwhile, and its monitor is left alone
 *       is found by the agent that is started after one died in the middle of it
 *       has its VMM ended before it is tried again, and then runs
 *       and that somebody has paused since is left so
 *       stays in the hands of the carrier where what is kept already leaves no room for its sessions
 *     agent/test/take-over-crash.slow.test.ts
 *       %s is followed by one that goes on
 *     agent/src/update/arrive/carrier/take-over.test.ts
 *       gives its sessions at once, and is waited for machine by machine
 *       and that has the last copy of a session lives on, and no machine is started
 *     agent/test/machine-update.test.ts
 *       whose agent dies while it is brought back is waited for by the next one, and not loaded again
 *     agent/test/carrier/restore-machine.test.ts
 *       that the carrier tells to run while the service manager cannot be heard is not loaded again
 *     agent/test/abort.test.ts
 *       and whose agent has died is undone and settled by the next one, which writes that once there is room
 *       in the next kernel still brings everything back, and is settled once there is room
 *     agent/test/session-lifecycle.test.ts
 *       sessions are taken in by the next agent, and a close that was interrupted is completed
 *     agent/test/index-session.test.ts
 *       is not taken for the index by the second look, which the agent makes with its journal open
 *       is carried over like any other: %s
 *     agent/test/sessions.test.ts
 *       stops acts when it cannot be written, and the agent goes on answering
 *     agent/test/unmanaged.test.ts
 *       works, warns before an update, and says after its death what is gone
 *       leaves a record that says what became of each descriptor (managed: $managed)
 *     agent/test/live-update.test.ts
 *       takes back what systemd 261 carried through its own kexec, without retrieving by name
 *     agent/test/crash.test.ts
 *       in the next kernel gets everything back at the next start
 *     agent/src/adoption/adoptions.test.ts
 *       is let run on by the agent that finds its mark
 *     agent/src/update/arrive/resume-machines.test.ts
 *       is started although the index cannot be retrieved at first
 *       without live update has nothing to let run
 *       without saved machines hands on what it found
 *       that an agent had begun to start is stopped first
 *       are started in their order, no more than %i at once
 */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Descriptor, Native } from '@luo-console/native';
import type { VmmStarter } from '../../adoption/restore.ts';
import type { StoredContext } from '../../adoption/stopped-in-store.ts';
import { vmmUnits } from '../../adoption/vmm-units.ts';
import type { Log } from '../../host/log.ts';
import type { HostPaths } from '../../host/paths.ts';
import { saidBy } from '../../host/said-by.ts';
import { tellManager } from '../../host/tell-manager.ts';
import { readHandoverLog, readKernelLog } from '../../kernel/log.ts';
import { asOwnSession, DescriptorStore } from '../../liveupdate/descriptor-store.ts';
import { Device, type Patience, usualPatience } from '../../liveupdate/device.ts';
import type { HandedBack } from '../../liveupdate/intake.ts';
import { parseStoredName } from '../../liveupdate/stored-names.ts';
import { usualNeedLimitS } from '../program/needs.ts';
import { usualPausesMs } from './attempts.ts';
import type { AnswerMeanwhile, Waiting } from './busy-device.ts';
import { type CarrierLimits, takeOverCarrier, usualCarrierLimits } from './carrier/take-over.ts';
import { type Found, resumeMachines } from './resume-machines.ts';
import type { Resuming } from './resuming.ts';

export interface FirstOptions {
  readonly native: Native;
  readonly paths: HostPaths;
  readonly log: Log;
  /** Places in the service manager's descriptor store; null if it does not say, or does not exist. */
  readonly descriptorStoreLimit: number | null;
  readonly patience?: Patience;
  readonly pausesMs?: readonly number[];
  /** How many machines are started at once, here and in the next kernel; as many as there are processors if not given. */
  readonly together?: number | undefined;
  /** How long a machine waits for what it needs, in seconds, here and in the next kernel; two minutes if not given. */
  readonly needLimitS?: number | undefined;
  /** Starts VMMs; the service manager if none is given. */
  readonly starter?: VmmStarter;
  /** How long to wait for a carrier and what belongs to it. */
  readonly carrierLimits?: CarrierLimits;
  /** Answers calls while the device is busy; nobody does if it is not given. */
  readonly answerMeanwhile?: AnswerMeanwhile;
  /**
   * Told that the device is busy.
   *
   * @param over fires once the start goes on
   * @param machinesRun resolves once no machine is stopped any more that an agent before this one has stopped
   */
  readonly startWaits?: (over: AbortSignal, machinesRun: Promise<void>) => void;
}

/** What the rest of the agent begins with. */
export interface FirstThings {
  readonly store: DescriptorStore;
  /** Starts VMMs. */
  readonly starter: VmmStarter;
  /** How many machines are started at once. */
  readonly together: number;
  /** How long a machine waits for what it needs, in seconds. */
  readonly needLimitS: number;
  /** A directory for the sockets by which machines are handed over. */
  readonly socketDirectory: string;
  /** The socket to answer on, if the service manager handed one in. */
  readonly listening: Descriptor | null;
  /** Descriptors of sessions: kept by the service manager, or retrieved for the machines. */
  readonly handed: readonly HandedBack[];
  /** The machines, which are being brought back; null if none came. */
  readonly resuming: Resuming | null;
  /** Resolves once nobody but the rest of the agent lets machines run on. */
  readonly storedRunOn: Promise<void>;
  /** Resolves once the carrier has come to its end; at once if none ran. */
  readonly carrierOver: Promise<void>;
  /** To be called when the service manager has heard that the agent is ready. */
  ready(): void;
  /** Does it once more, for an index that was retrieved after the first things. */
  resumeLate(handed: readonly HandedBack[]): Promise<Found>;
}

/** How often the service manager hears that the start goes on, and how much longer it is to wait each time. */
const extendEveryMs = 10_000;
const extendByUs = 60_000_000;

/**
 * Machines may be stopped since before the kexec: nothing is begun before they are brought back, not even the journal. It
 * resolves while that goes on.
 */
export async function doFirstThings(options: FirstOptions): Promise<FirstThings> {
  const { native, paths, log } = options;
  const startedAt = native.kernel.clock('boottime');
  // A start that is killed begins again, and a machine that takes long would never be done (sd_notify(3)).
  const extending = setInterval(() => {
    tellManager(native, log, `EXTEND_TIMEOUT_USEC=${extendByUs}`);
  }, extendEveryMs).unref();
  // The agent finds out later, if somebody asks, why there is no device. Here it only means that nothing came.
  const unexplained = async () => ({ availability: 'unexplained' as const, explanation: '' });
  const patience = options.patience ?? usualPatience;
  const device = new Device(native.liveUpdate, paths, unexplained, patience);
  const pausesMs = options.pausesMs ?? usualPausesMs;
  const together = options.together ?? availableParallelism();
  const needLimitS = options.needLimitS ?? usualNeedLimitS;
  const store = new DescriptorStore(native, options.descriptorStoreLimit);
  const socketDirectory = join(paths.runtime, 'handing-over');
  const starter = options.starter ?? vmmUnits(paths);
  const { listening, handed: kept } = sortHanded(native, native.serviceManager.takeListenFds());
  // Before anything more is kept: there is only so much room.
  for (const { name } of kept) store.know(name);
  const nothingCame = (): boolean => {
    const { complete, found } = readHandoverLog(readKernelLog(paths) ?? []);
    return complete && !found;
  };
  const limits = options.carrierLimits ?? usualCarrierLimits;
  const carrier = await takeOverCarrier({ native, store, paths, log, limits }, kept);
  let storedRunOn = Promise.resolve();
  // Later the rest of the agent has the sessions, and lets machines run on.
  let isFirst = true;
  const answerMeanwhile = async (waiting: Waiting, signal: AbortSignal): Promise<void> => {
    // Machines that an agent of this boot has stopped must not wait for the device.
    if (isFirst) {
      const context = { native, paths, store, starter, log };
      storedRunOn = storedRunOn.then(() => letStoredRunOn(context, kept, signal));
    }
    options.startWaits?.(signal, storedRunOn);
    await options.answerMeanwhile?.(waiting, listening, signal);
  };
  const context = {
    native,
    paths,
    carrier,
    device,
    store,
    starter,
    socketDirectory,
    startedAt,
    log,
    nothingCame,
    answerMeanwhile,
    patience,
    pausesMs,
    together,
    needLimitS,
  };
  const { handed, resuming } = await resumeMachines(context, [...kept, ...(carrier?.sessions ?? [])]);
  isFirst = false;
  const tell = (): void => {
    const saying = resuming?.saying() ?? null;
    if (saying !== null) tellManager(native, log, `STATUS=${saying}`);
  };
  // Until the agent is ready: then it says more.
  resuming?.events.on('changed', tell);
  tell();
  const ready = (): void => {
    clearInterval(extending);
    resuming?.events.off('changed', tell);
  };
  const resumeLate = (late: readonly HandedBack[]) => resumeMachines(context, late);
  const carrierOver = carrier?.over ?? Promise.resolve();
  return {
    ...{ store, starter, together, needLimitS, socketDirectory, listening },
    ...{ handed, resuming, carrierOver, ready, resumeLate, storedRunOn },
  };
}

/** What it takes is loaded only where the agent waits anyway. */
async function letStoredRunOn(
  { starter, ...context }: Omit<StoredContext, 'bootId' | 'renewals'> & { readonly starter: VmmStarter },
  handed: readonly HandedBack[],
  over: AbortSignal,
): Promise<void> {
  try {
    const { letStoredRunOn: letRunOn } = await import('../../adoption/stopped-in-store.ts');
    const { mayHaveRun } = await import('../program/renewal-directory.ts');
    // Alone, as the rest of what is read of a kernel is not loaded yet.
    const bootId = await readFile(`${context.paths.proc}/sys/kernel/random/boot_id`, 'utf8');
    // This agent has none under way.
    const renewals = { starter, isUnder: () => false, mayHaveRun: mayHaveRun(context.native) };
    await letRunOn({ ...context, bootId: bootId.trim(), renewals }, handed, over);
  } catch (error) {
    context.log('error', 'machines may still be stopped', { problem: saidBy(error) });
  }
}

/** Tells the listening socket from sessions and files in them. */
function sortHanded(
  native: Native,
  handed: readonly HandedBack[],
): { listening: Descriptor | null; handed: HandedBack[] } {
  const kindOf = ({ name }: HandedBack) => parseStoredName(name).kind;
  const [first, ...rest] = handed.filter((each) => kindOf(each) === 'other');
  for (const { descriptor } of rest) descriptor.close();
  const kept = handed.filter((each) => kindOf(each) !== 'other');
  return {
    listening: first?.descriptor ?? null,
    handed: kept.map((each) => {
      if (kindOf(each) !== 'session') return each;
      return { ...each, descriptor: asOwnSession(native, each.descriptor) };
    }),
  };
}
