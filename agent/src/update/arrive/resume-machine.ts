// SPDX-License-Identifier: Apache-2.0
/**
 * One machine of the update that brought the host here. The mark behind its state says how far the carrier, or an agent
 * before this one, has come with it. Nothing is ever loaded twice.
 */
import type { Descriptor, Native } from '@luo-console/native';
import { type RestartMark, readMark } from '../../adoption/restart-mark.ts';
import {
  RanPerhaps,
  type RestartLog,
  type RestartPoint,
  type RestoreOptions,
  runStarted,
  type Started,
  unitNameOf,
  type VmmStarter,
} from '../../adoption/restore.ts';
import { savedBytes } from '../../adoption/run-records.ts';
import type { SavedMachine } from '../../adoption/saved-machine.ts';
import { placesOf, statePlace } from '../../adoption/saved-places.ts';
import { checkLabel } from '../../adoption/vmm-label.ts';
import type { Log } from '../../host/log.ts';
import type { HostPaths } from '../../host/paths.ts';
import { saidBy } from '../../host/said-by.ts';
import type { MachineRun, MachineStage } from '../../interface/agent.generated.ts';
import { restorePatiently } from './attempts.ts';
import { attachCarried, endCarried } from './carrier/carried-machine.ts';
import type { CarriedMachine, TakenOver } from './carrier/taken-over.ts';
import { Missing, type RetrievedFiles } from './retrieved-files.ts';
import type { Turn } from './start-turns.ts';

export interface MachineContext {
  readonly native: Native;
  readonly paths: Pick<HostPaths, 'proc' | 'sys'>;
  /** What the carrier left; null if no carrier ran in this boot. */
  readonly carrier: TakenOver | null;
  readonly starter: VmmStarter;
  readonly socketDirectory: string;
  readonly log: Log;
  /** How long to wait before each further attempt to start a machine, in ms. */
  readonly pausesMs: readonly number[];
  /** How long a machine waits for what it needs, in seconds. */
  readonly needLimitS: number;
}

export interface ResumedMachine {
  readonly saved: SavedMachine;
  readonly run: MachineRun;
  /** Null if it does not run. */
  readonly broughtBackBy: 'carrier' | 'agent' | null;
}

/** How it went with one machine. */
interface Ended extends Omit<ResumedMachine, 'saved'> {
  /** What the carrier did for it; null if that has never had it. */
  readonly carried: CarriedMachine | null;
}

export interface OneMachine {
  readonly context: MachineContext;
  readonly files: RetrievedFiles;
  /** The name of the index session. */
  readonly index: string;
  readonly saved: SavedMachine;
  /** When it may be started. */
  readonly turn: Turn;
  /** Told how it goes on. */
  shows(stage: MachineStage, detail: string): void;
  /** Told of each point that was reached here, with its time in ns of `CLOCK_BOOTTIME`; now if it has none. */
  reached(point: RestartPoint, atNs?: number): void;
  /** Told what each attempt here has waited for and done. */
  logged(log: RestartLog): void;
}

const waitsForTurn = 'it waits until machines that come before it have been started';

/** Whether a machine was certainly not told to run. */
const isUntold = (mark: RestartMark): boolean => mark === 'none' || mark === 'starting';

const asExpected = { problem: null, insteadOfRunning: null };

/**
 * How far a machine is. The carrier goes on where an agent that had it bring the machine back has died since: it is
 * waited for, because ending it could end a guest that runs.
 */
async function markOf(
  { native, starter, log }: MachineContext,
  saved: SavedMachine,
  state: Descriptor,
  carried: CarriedMachine | null,
): Promise<RestartMark> {
  const { session } = saved;
  const mark = readMark(native.memory, state, saved);
  const livesAlready = (carried?.pid ?? null) !== null;
  if (livesAlready || mark === 'settled' || mark === 'settled_running') return mark;
  try {
    await starter.settle(saved);
  } catch (error) {
    log('warning', 'whether a machine is being started is unknown', { session, problem: saidBy(error) });
    // Its unit is stopped before another attempt, which could end a guest that has just begun to run.
    if (mark === 'starting') throw error;
  }
  return readMark(native.memory, state, saved);
}

/** A machine of which nothing is done yet in this kernel. */
export const newRun = (saved: SavedMachine): MachineRun => ({
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
  waits: [],
  failedAt: null,
  instructions: null,
  stateBytes: savedBytes(saved.state),
});

const notCarried = { machine: null, goesOn: null };

/**
 * Has a machine run, if it does not yet and everything of it is in hand. One that the carrier has is left to it until it
 * is through with it.
 */
export async function resumeMachine({
  context,
  files,
  index,
  saved,
  turn,
  shows,
  reached,
  logged,
}: OneMachine): Promise<Ended> {
  const { native, paths, starter, socketDirectory, carrier, log } = context;
  const { session } = saved;
  const { machine: carried, goesOn } = (await carrier?.machine(session)) ?? notCarried;
  const run = newRun(saved);
  const asked = { native, paths, machine: saved, starter, log };
  const resumed = (
    newPid: number,
    broughtBackBy: 'carrier' | 'agent',
    { problem, insteadOfRunning }: Pick<Started, 'problem' | 'insteadOfRunning'> = asExpected,
    unit: string | null = null,
  ) => {
    const runs =
      insteadOfRunning === null ? 'it runs' : `it has run, and its state is "${insteadOfRunning}" now`;
    const how = saved.ran ? runs : 'it is paused, as it was before';
    const what = problem === null ? how : `it was told to run; its monitor cannot be asked: ${problem}`;
    const by = broughtBackBy === 'carrier' ? 'the carrier brought it back' : null;
    const label = checkLabel(context, saved, newPid);
    const detail = [what, by, label, unit].filter((each) => each !== null).join('; ');
    return { run: { ...run, newPid, stage: 'resumed' as const, detail }, broughtBackBy, carried };
  };
  const not = (stage: 'held' | 'lost', detail: string) => ({
    run: { ...run, stage, detail },
    ...{ broughtBackBy: null, carried },
  });
  try {
    if (carried !== null && carried.failed !== null)
      log('warning', 'the carrier failed with a machine', { session, problem: carried.failed });
    const state = files.get(statePlace(saved, index));
    // Nothing is started of one whose guest may have run, or whose update is settled.
    if (goesOn === null && isUntold(readMark(native.memory, state, saved)))
      await turn.begin(() => shows('retrieving', waitsForTurn));
    const reachedBefore = await markOf(context, saved, state, carried);
    if (!isUntold(reachedBefore)) turn.end();
    // From a settlement on a machine is in nobody's hands but an operator's: it is looked at, and nothing else.
    if (reachedBefore === 'settled') return not('held', 'its update is settled');
    if (reachedBefore === 'running' || reachedBefore === 'settled_running') {
      // The carrier, or an agent before this one, had come so far that the guest may have run.
      const attached = carried === null ? null : await attachCarried(context, saved, carried);
      const { pid = null, problem = null } = attached ?? {};
      const by = pid === null ? 'agent' : 'carrier';
      if (reachedBefore === 'settled_running')
        return resumed(pid ?? (await starter.pid(saved)), by, asExpected, problem);
      const hasRun = carried?.reached.has('running') ?? false;
      const started = await runStarted({ ...asked, pid, hasRun });
      if (by === 'carrier' && started.problem === null) reached('running');
      return resumed(started.pid, by, started, problem);
    }
    if (goesOn !== null) throw new Error(`the carrier may be starting it: ${goesOn}`);
    shows('starting', 'the agent brings it back');
    if (carried !== null) await endCarried(context, saved, carried);
    for (const place of placesOf(saved, index)) files.get(place);
    if (reachedBefore === 'starting') await starter.stop(saved);
    const options: RestoreOptions = {
      native,
      paths,
      machine: saved,
      state,
      file: (place) => files.get(place),
      starter,
      socketDirectory,
      // The agent starts before all file systems are mounted. The carrier has waited already, if it had the machine.
      ...(carried === null ? { needLimitS: context.needLimitS } : {}),
      reached,
      logged,
      log,
    };
    try {
      return resumed(await restorePatiently(options, context.pausesMs, log, turn), 'agent');
    } catch (error) {
      if (!(error instanceof RanPerhaps)) throw error;
      turn.end();
      log('warning', 'a machine was told to run, and is asked how it is', {
        session,
        problem: saidBy(error),
      });
      const started = await runStarted(asked);
      return resumed(started.pid, 'agent', started);
    }
  } catch (error) {
    const why = saidBy(error);
    if (error instanceof Missing) return not('lost', `${why}; it was not started without it`);
    return not('held', error instanceof RanPerhaps ? why : `it does not run: ${why}`);
  } finally {
    turn.end();
  }
}
