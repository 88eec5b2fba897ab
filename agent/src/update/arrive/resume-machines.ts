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
import type { Descriptor } from '@luo-console/native';
import type { RestartLog } from '../../adoption/restore.ts';
import { placesOf } from '../../adoption/saved-places.ts';
import { errnoOf, Refusal } from '../../host/refusal.ts';
import { saidBy } from '../../host/said-by.ts';
import { tellManager } from '../../host/tell-manager.ts';
import { SurvivingClock } from '../../kernel/surviving-clock.ts';
import { type DescriptorStore, parseStoredName, sessionEntry } from '../../liveupdate/descriptor-store.ts';
import { type Device, type Patience, withPatience } from '../../liveupdate/device.ts';
import type { HandedBack } from '../../liveupdate/intake.ts';
import { type HostMarks, partsOf, type WayBack, wayBackOf } from '../record/blackout-parts.ts';
import { findIndex } from '../record/incoming-index.ts';
import type { IndexContents, UnreadMachine } from '../record/index-record.ts';
import { carrierMarks, carrierPointsUs, onClockUs } from './carrier/carried-machine.ts';
import { type HeldMachine, heldMachine, unreadPlaces } from './held-machine.ts';
import { type MachineContext, type ResumedMachine, resumeMachine } from './resume-machine.ts';
import { RetrievedFiles } from './retrieved-files.ts';

export interface ResumeContext extends MachineContext {
  readonly device: Device;
  readonly store: DescriptorStore;
  /** How long to try again what fails for a passing reason. */
  readonly patience: Patience;
  /** When this process began its work, ns of `CLOCK_BOOTTIME`. */
  readonly startedAt: bigint;
  /** Whether the kernel is known to have been handed nothing. Asked only while somebody else has the device. */
  nothingCame(): boolean;
}

/** How the machines of the update that brought the host here fared. */
export interface ResumedMachines {
  readonly machines: readonly (ResumedMachine & Pick<WayBack, 'instructions'>)[];
  /** On the clock that goes on through the kexec, µs. */
  readonly times: {
    readonly kernelStartedAtUs: number;
    /** Or the carrier's start, and when it had retrieved everything, if it brought a machine back. */
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
  const { native, startedAt, carrier } = context;
  const clock = new SurvivingClock(native.kernel, record.clock);
  const retrievedAtUs = clock.nowUs();
  const kernelStartedAtUs = clock.startedAtUs();
  mkdirSync(context.socketDirectory, { recursive: true, mode: 0o711 });
  const firstUs = Math.min(...record.machines.map(({ suspendedAtUs }) => suspendedAtUs ?? retrievedAtUs));
  const held = record.unread.map((machine) => {
    const places = unreadPlaces(machine, index);
    return heldMachine(native, files, { ...machine, record: machine.stored, saved: null }, places);
  });
  const agentMarks = {
    kernelStartedAtUs,
    agentStartedAtUs: kernelStartedAtUs + Number(startedAt / 1000n),
    retrievedAtUs,
  };
  const marksOf = { agent: agentMarks, carrier: carrierMarks(carrier, kernelStartedAtUs) };
  const machines = await Promise.all(
    record.machines.map(async (saved) => {
      let reached: Map<string, number> = new Map();
      const carried = carrier?.machines.get(saved.session);
      const logs: RestartLog[] = carried ? [carried.log] : [];
      const { run, broughtBackBy } = await resumeMachine({
        context,
        files,
        index,
        saved,
        reached: (point, atNs) =>
          reached.set(point, atNs === undefined ? clock.nowUs() : onClockUs(kernelStartedAtUs, atNs)),
        logged: (log) => logs.push(log),
      });
      if (run.stage !== 'resumed') {
        const own = placesOf(saved, index).filter(({ session }) => session === index);
        held.push(heldMachine(native, files, { ...saved, record: saved, saved }, own));
      }
      if (broughtBackBy === 'carrier' && carried)
        reached = carrierPointsUs(saved, carried, kernelStartedAtUs, reached);
      const parts = partsOf(saved, marksOf[broughtBackBy ?? 'agent'], reached, firstUs);
      const ranAtUs = reached.get('running');
      const blackoutUs =
        ranAtUs === undefined ? null : Math.max(0, ranAtUs - (saved.suspendedAtUs ?? ranAtUs));
      const { waits, failedAt, instructions } = wayBackOf(logs, { kernelStartedAtUs, firstUs });
      const whole = { ...run, parts, blackoutUs, waits, failedAt };
      return { saved, run: whole, broughtBackBy, ranAtUs, instructions };
    }),
  );
  for (const file of files.files.values()) file.close();
  const resumedAtUs = clock.nowUs();
  const times = { ...agentMarks, resumedAtUs };
  return {
    ...{ machines, held, unread: record.unread },
    times: timesOf(machines, times, marksOf.carrier),
  };
}

/** The times of the update: those of the carrier as far as it did the work. */
function timesOf(
  machines: readonly (ResumedMachine & { readonly ranAtUs: number | undefined })[],
  times: ResumedMachines['times'],
  marks: HostMarks,
): ResumedMachines['times'] {
  if (!machines.some(({ broughtBackBy }) => broughtBackBy === 'carrier')) return times;
  const { agentStartedAtUs, retrievedAtUs } = marks;
  const ran = machines.flatMap(({ broughtBackBy, ranAtUs }) =>
    broughtBackBy === 'carrier' && ranAtUs !== undefined ? [ranAtUs] : [],
  );
  return {
    ...times,
    agentStartedAtUs: agentStartedAtUs ?? times.agentStartedAtUs,
    retrievedAtUs: retrievedAtUs ?? times.retrievedAtUs,
    resumedAtUs: ran.length === machines.length ? Math.max(...ran) : times.resumedAtUs,
  };
}
