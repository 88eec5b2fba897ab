// SPDX-License-Identifier: Apache-2.0
/**
 * The very first thing an agent does: if a live update brought the host here, let its machines run again. Before
 * the journal is opened, before a call is answered and before anything is compared, because every moment of it is
 * blackout. It needs nothing from disk: the index session says what there is, and the sessions hold it.
 *
 * A machine is started only if everything of it is in hand; there is no starting one empty. What was retrieved on
 * the way is handed on, as if the service manager had kept it, to the part that takes sessions in.
 */
import { mkdirSync } from 'node:fs';
import type { Descriptor, Native } from '@luo-console/native';
import { readMark, writeMark } from '../../adoption/restart-mark.ts';
import {
  RanPerhaps,
  type RestoreOptions,
  runStarted,
  unitNameOf,
  type VmmStarter,
} from '../../adoption/restore.ts';
import type { SavedMachine } from '../../adoption/saved-machine.ts';
import { placesOf, statePlace } from '../../adoption/saved-places.ts';
import type { Log } from '../../host/log.ts';
import { errnoOf, Refusal } from '../../host/refusal.ts';
import { saidBy } from '../../host/said-by.ts';
import { tellManager } from '../../host/tell-manager.ts';
import type { MachineRun } from '../../interface/agent.generated.ts';
import { SurvivingClock } from '../../kernel/surviving-clock.ts';
import { type DescriptorStore, parseStoredName, sessionEntry } from '../../liveupdate/descriptor-store.ts';
import { type Device, type Patience, withPatience } from '../../liveupdate/device.ts';
import type { HandedBack } from '../../liveupdate/intake.ts';
import { partsOf } from '../record/blackout-parts.ts';
import { findIndex } from '../record/incoming-index.ts';
import type { IndexContents, UnreadMachine } from '../record/index-record.ts';
import { restorePatiently } from './attempts.ts';
import { type HeldMachine, heldMachine, unreadPlaces } from './held-machine.ts';
import { Missing, RetrievedFiles } from './retrieved-files.ts';

export interface ResumeContext {
  readonly native: Native;
  readonly device: Device;
  readonly store: DescriptorStore;
  readonly starter: VmmStarter;
  readonly socketDirectory: string;
  readonly log: Log;
  /** How long to try again what fails for a passing reason. */
  readonly patience: Patience;
  /** How long to wait before each further attempt to start a machine, in ms. */
  readonly pausesMs: readonly number[];
  /** When this process began its work, ns of `CLOCK_BOOTTIME`. */
  readonly startedAt: bigint;
  /** Whether the kernel is known to have been handed nothing. Asked only while somebody else has the device. */
  nothingCame(): boolean;
}

/** How the machines of the update that brought the host here fared. */
export interface ResumedMachines {
  readonly machines: readonly { readonly saved: SavedMachine; readonly run: MachineRun }[];
  /** On the clock that goes on through the kexec, µs. */
  readonly times: {
    readonly kernelStartedAtUs: number;
    readonly agentStartedAtUs: number;
    readonly retrievedAtUs: number;
    readonly resumedAtUs: number;
  };
  /** What is in hand of the machines that do not run: to be kept, for they can be tried again. */
  readonly held: readonly HeldMachine[];
  /** Machines whose records do not fit: none of them was started. */
  readonly unread: readonly UnreadMachine[];
}

export interface Found {
  /** Everything the service manager handed in, and the sessions that were retrieved here. */
  readonly handed: HandedBack[];
  readonly resumed: ResumedMachines | null;
}

/**
 * Lets the machines run again, if a live update brought any here.
 *
 * @param handed what the service manager handed in
 */
export async function resumeMachines(context: ResumeContext, handed: readonly HandedBack[]): Promise<Found> {
  const { native } = context;
  const all = [...handed];
  const sessions = new Map<string, Descriptor>();
  for (const { name, descriptor } of handed) {
    const stored = parseStoredName(name);
    if (stored.kind === 'session') sessions.set(stored.session, descriptor);
  }
  const retrieve = async (names: readonly string[]): Promise<void> => {
    const wanted = names.filter((name) => !sessions.has(name));
    if (wanted.length === 0) return;
    await context.device.use(async (device) => {
      for (const name of wanted) {
        const session = await retrieveOne(context, device, name);
        if (session === null) continue;
        sessions.set(name, session);
        all.push({ name: sessionEntry(name), descriptor: session });
        context.store.keepSession(name, session);
      }
    });
  };
  const index = await findIndex(native, async (name) => {
    await patiently(context, () => retrieve([name]));
    return sessions.get(name) ?? null;
  });
  if (!index?.record || index.record.machines.length + index.record.unread.length === 0)
    return { handed: all, resumed: null };
  const { name, record } = index;
  const files = new RetrievedFiles();
  const started = record.machines.flatMap((saved) => placesOf(saved, name));
  const places = [...started, ...record.unread.flatMap((machine) => unreadPlaces(machine, name))];
  await patiently(context, () => retrieve([...new Set(places.map(({ session }) => session))]));
  await files.takeAll(native, sessions, places);
  const resumed = await startAll(context, name, record, files);
  return { handed: all, resumed };
}

/** Errors that may be gone a moment later. That there is no such session is none of them. */
const passing = ['ENOMEM', 'EINTR', 'EAGAIN', 'EMFILE', 'ENFILE', 'EIO'];

/** Retrieves a session. @returns null if there is none, or if it could not be retrieved, which the log says */
async function retrieveOne(
  { native, patience, log }: ResumeContext,
  device: Descriptor,
  name: string,
): Promise<Descriptor | null> {
  try {
    return await withPatience(passing, patience, () => native.liveUpdate.retrieveSession(device, name));
  } catch (error) {
    const errno = errnoOf(error);
    // None of that name, or one that this or another agent has retrieved before.
    if (errno !== 'ENOENT' && errno !== 'EINVAL')
      log('error', 'a session could not be retrieved', { session: name, errno: errno ?? saidBy(error) });
    return null;
  }
}

/**
 * Does what needs the device as often as somebody else has it: machines that stand still are worth waiting for.
 * Upstream's luod never gives it back, so where nothing came there is no waiting.
 * If the device is missing, there is nothing to retrieve; this is not an error.
 */
async function patiently(
  { log, native, nothingCame }: ResumeContext,
  work: () => Promise<void>,
): Promise<void> {
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      if (!(error instanceof Refusal) || error.refusal !== 'DeviceBusy') return;
      if (nothingCame()) {
        log('warning', 'the live update device is busy; nothing was handed over', { problem: error.message });
        return;
      }
      tellManager(native, log, `STATUS=waiting for the live update device: ${error.message}`);
      log('warning', 'waiting for the live update device', { problem: error.message });
    }
  }
}

async function startAll(
  context: ResumeContext,
  index: string,
  record: IndexContents,
  files: RetrievedFiles,
): Promise<ResumedMachines> {
  const { native, startedAt } = context;
  const clock = new SurvivingClock(native.kernel, record.clock);
  const retrievedAtUs = clock.nowUs();
  const kernelStartedAtUs = clock.startedAtUs();
  mkdirSync(context.socketDirectory, { recursive: true, mode: 0o711 });
  const firstUs = Math.min(...record.machines.map(({ suspendedAtUs }) => suspendedAtUs ?? retrievedAtUs));
  const held = record.unread.map((machine) => {
    const places = unreadPlaces(machine, index);
    return heldMachine(native, files, { ...machine, record: machine.stored, saved: null }, places);
  });
  const machines = await Promise.all(
    record.machines.map(async (saved) => {
      const reached = new Map<string, number>();
      const run = await resumeOne({
        context,
        files,
        index,
        saved,
        reached: (point) => reached.set(point, clock.nowUs()),
      });
      if (run.stage !== 'resumed') {
        const own = placesOf(saved, index).filter(({ session }) => session === index);
        held.push(heldMachine(native, files, { ...saved, record: saved, saved }, own));
      }
      const marks = {
        kernelStartedAtUs,
        agentStartedAtUs: kernelStartedAtUs + Number(startedAt / 1000n),
        retrievedAtUs,
      };
      const parts = partsOf(saved, marks, reached, firstUs);
      const ranAtUs = reached.get('running');
      const blackoutUs =
        ranAtUs === undefined ? null : Math.max(0, ranAtUs - (saved.suspendedAtUs ?? ranAtUs));
      return { saved, run: { ...run, parts, blackoutUs } };
    }),
  );
  for (const file of files.files.values()) file.close();
  const resumedAtUs = clock.nowUs();
  return {
    machines,
    held,
    unread: record.unread,
    times: {
      kernelStartedAtUs,
      agentStartedAtUs: kernelStartedAtUs + Number(startedAt / 1000n),
      retrievedAtUs,
      resumedAtUs,
    },
  };
}

interface One {
  readonly context: ResumeContext;
  readonly files: RetrievedFiles;
  /** The name of the index session. */
  readonly index: string;
  readonly saved: SavedMachine;
  reached(point: string): void;
}

async function resumeOne({ context, files, index, saved, reached }: One): Promise<MachineRun> {
  const { native, starter, socketDirectory } = context;
  const run: MachineRun = {
    name: saved.name,
    pid: saved.pid,
    newPid: null,
    way: saved.way,
    session: saved.session,
    stage: 'retrieving',
    detail: '',
    brownoutUs: saved.brownoutUs,
    suspendedAtUs: saved.suspendedAtUs,
    blackoutUs: null,
    parts: [],
  };
  const resumed = (newPid: number): MachineRun => ({
    ...run,
    newPid,
    stage: 'resumed',
    detail: saved.ran ? 'it runs' : 'it is paused, as it was before',
  });
  try {
    const state = files.get(statePlace(saved, index));
    const reachedBefore = readMark(native.memory, state, saved);
    // From a settlement on a machine is in nobody's hands but an operator's: it is looked at, and nothing else.
    if (reachedBefore === 'settled_running') return resumed(await starter.pid(unitNameOf(saved)));
    if (reachedBefore === 'settled') return { ...run, stage: 'held', detail: 'its update is settled' };
    if (reachedBefore === 'running') {
      // An agent before this one had come so far that the guest may have run.
      const { pid, problem } = await runStarted({ machine: saved, starter });
      if (problem === null) return resumed(pid);
      return { ...resumed(pid), detail: `it was told to run; its monitor cannot be asked: ${problem}` };
    }
    for (const place of placesOf(saved, index)) files.get(place);
    if (reachedBefore === 'starting') await starter.stop(unitNameOf(saved));
    else writeMark(native.memory, state, saved, 'starting');
    const options: RestoreOptions = {
      native,
      machine: saved,
      state,
      file: (place) => files.get(place),
      starter,
      socketDirectory,
      reached,
      beforeRunning: () => writeMark(native.memory, state, saved, 'running'),
    };
    return resumed(await restorePatiently(options, context.pausesMs, context.log));
  } catch (error) {
    const why = saidBy(error);
    if (error instanceof Missing)
      return { ...run, stage: 'lost', detail: `${why}; it was not started without it` };
    return { ...run, stage: 'held', detail: error instanceof RanPerhaps ? why : `it does not run: ${why}` };
  }
}
