// SPDX-License-Identifier: Apache-2.0
/**
 * What each step of the kernel that is left does, and how it is undone. The rows are those of `record/steps.ts`:
 * a step without an act does not compile.
 */
import { setTimeout as delay, setImmediate } from 'node:timers/promises';
import { attendantsMs } from '../../adoption/attendance.ts';
import type { SavedMachine } from '../../adoption/saved-machine.ts';
import { comeFirst } from '../../host/priority.ts';
import { saidBy } from '../../host/said-by.ts';
import type { StopClock } from '../../host/stop-clock.ts';
import type { Plan, Update } from '../../interface/agent.generated.ts';
import type { RecordedPeer } from '../../journal/index.ts';
import { markKernelLog } from '../../kernel/log.ts';
import { digestSession } from '../../liveupdate/digests.ts';
import type { UpdateFacts } from '../record/facts.ts';
import type { IndexRecord } from '../record/index-record.ts';
import { OutgoingIndex } from '../record/index-session.ts';
import type { StepProgress } from '../record/progress.ts';
import { carriedBefore } from '../record/record.ts';
import { CameBack } from '../record/refused.ts';
import { type LeavingId, type Subject, steps } from '../record/steps.ts';
import type { UpdateContext } from '../record/update-context.ts';
import type { LastSync } from './last-sync.ts';
import type { ResumeProgram } from './resume-program.ts';
import type { RunMachines } from './run-machines.ts';
import { warmUp } from './warm-up.ts';
import { writeOut, writeOutAhead } from './writing-out.ts';

/** How long the kernel is waited for that drops what is loaded, in ms. It is asked again. */
const unloadMs = 1000;

/** The update as its steps see it. */
export interface Leaving {
  readonly context: UpdateContext;
  readonly plan: Plan;
  readonly facts: UpdateFacts;
  readonly peer: RecordedPeer;
  /** How long the announced kexec waits for an abort, in seconds. */
  readonly graceSeconds: number;
  /** Fires when the update is aborted. */
  readonly signal: AbortSignal;
  /** Ends the update, because it cannot succeed any more: whatever is being waited for. */
  end(reason: unknown): void;
  readonly machines: RunMachines;
  /** Ends the update where machines are stopped for too long. */
  readonly clock: StopClock;
  /** What the carrier will do; null if the next kernel does not start it. */
  readonly program: ResumeProgram | null;
  /** The index session, once it is created. */
  index: OutgoingIndex | null;
  /** When the next kernel was loaded, in µs since the epoch; null before that. */
  loadedAtUs: number | null;
  /** Undoes that the agent comes first on the processors; null while it does not. */
  standBack: (() => void) | null;
  /** What is synced once the machines are stopped; null until that is known. */
  lastSync: LastSync | null;
  readonly record: Update;
  /** Changes the record. */
  change(change: Partial<Update>): void;
  /**
   * What the index session says now.
   *
   * @param jumpedAtUs when the reboot call is made, or null before
   * @param saved the machines; those that are saved if none are given
   * @throws Error if the next kernel's agent could not read it
   */
  indexRecord(jumpedAtUs: number | null, saved?: readonly SavedMachine[]): IndexRecord;
  /** Shows how far the step under way is. */
  progress(more: Omit<StepProgress, 'step' | 'message'> & { readonly message?: string }): void;
}

/** Steps that are there once have no subject. */
interface Act {
  run(update: Leaving, subject: Subject | null): Promise<void>;
  undo?(update: Leaving, subject: Subject | null): Promise<void> | void;
}

export const acts: { readonly [Id in LeavingId]: Act } = {
  load: {
    async run(update) {
      const { context, plan, peer, signal } = update;
      const { kernel: image, commandLine } = plan;
      update.loadedAtUs = (await context.loader.load({ image, commandLine, peer, signal })).loadedAtUs;
    },
    async undo({ context: { loader, unended }, loadedAtUs, peer }) {
      const { loaded } = loader;
      // One that somebody has loaded since is not this update's to drop.
      if (loaded === null || (loadedAtUs !== null && loaded.loadedAtUs !== loadedAtUs)) return;
      const dropping = loader.unload(peer);
      await unended.waitFor('dropping the loaded kernel', dropping, { limitMs: unloadMs });
    },
  },

  protect: {
    async run({ machines, signal, progress }, machine) {
      const { session, name } = the(machine);
      await machines.protect(session, {
        signal,
        onProgress: (done, total) => progress({ message: `huge pages for ${name}`, done, total }),
      });
    },
  },

  index: {
    async run(update) {
      const { context, machines, signal } = update;
      // A preserve that was asked for before the update began may still be walking pages.
      const quiet = context.sessions.quiet();
      await context.unended.waitFor('what was asked for before the update', quiet, { signal });
      update.change({ carried: carriedBefore(context) });
      const commands = machines.adopted.map(({ machine }) => machine.command);
      update.index = await OutgoingIndex.create(context, update.indexRecord(null), commands, signal);
    },
    async undo(update) {
      await update.index?.close();
      update.index = null;
    },
  },

  digest: {
    async run({ context, facts, signal, progress }, subject) {
      const { session, name } = the(subject);
      const all = steps.digest.subjects(facts);
      const at = all.findIndex((each) => each.session === session);
      const bytesOf = (list: readonly Subject[]): number => list.reduce((sum, { bytes }) => sum + bytes, 0);
      const start = bytesOf(all.slice(0, at));
      const total = bytesOf(all);
      await digestSession(context.sessions, session, signal, (label, bytes) => {
        progress({ message: `digest of ${name}: ${label}`, done: start + bytes, total });
      });
    },
  },

  ready: {
    async run(update) {
      const { context, machines, program, signal } = update;
      await machines.prepare();
      program?.prepare(machines.ready);
      const { onTrial } = machines;
      // What the next kernel's agent could not read, or has no room, must be found while they run.
      update.change({ carried: carriedBefore(context) });
      update.index?.needRoom(update.indexRecord(null, onTrial));
      await warmUp(() => {
        program?.compileOnTrial();
        update.indexRecord(null, onTrial);
      }, signal);
    },
    async undo({ machines }) {
      try {
        const problems = await machines.letRunOn();
        if (problems.length > 0) throw new Error(problems.join('; '));
      } finally {
        machines.close();
      }
    },
  },

  announce: {
    async run(update) {
      const { context, graceSeconds, peer, plan, signal } = update;
      const { attendance, history, nowUs, paths } = context;
      const announcedAtUs = nowUs();
      const graceEndsAtUs = announcedAtUs + graceSeconds * 1_000_000;
      update.change({ announcedAtUs, graceEndsAtUs, carried: carriedBefore(context) });
      update.index?.write(update.indexRecord(null));
      history.announced(update.record, { peer, parameters: { graceSeconds } });
      markKernelLog(paths, `update ${update.record.id} announced, kexec into ${plan.kernel.release}`);
      if (graceSeconds > 0) {
        update.progress({ graceEndsAtUs });
        await delay(graceSeconds * 1000, undefined, { signal }).catch(() => {});
        signal.throwIfAborted();
      }
      // One that does not answer holds nobody up but this.
      update.progress({ message: 'syncing all file systems' });
      update.lastSync = await writeOutAhead(update);
      context.counterRate.readBattery();
      const unplanned = attendance.sessions.filter(
        (name) => !update.facts.sessions.some(({ session, attended }) => attended && session === name),
      );
      if (unplanned.length > 0)
        throw new Error(`a program attends ${unplanned.join(', ')} since the plan was made; plan again`);
      await loadAgain(update);
      // Where machines are stopped, the step that stops them does it last.
      if (steps.suspend.subjects(update.facts).length === 0) await leaveProgram(update);
    },
    undo({ context: { paths }, record }) {
      markKernelLog(paths, `update ${record.id}: the announced kexec does not happen`);
    },
  },

  suspend: {
    async run(update) {
      const { clock, context, facts, machines, signal } = update;
      const { attendance, log, paths } = context;
      // Programs are asked to stop theirs now. The agent's own are stopped later.
      if (attendance.sessions.length > 0) clock.start();
      try {
        update.standBack = comeFirst(paths.proc);
      } catch (error) {
        log('warning', 'the agent does not come first while machines are stopped', {
          problem: saidBy(error),
        });
      }
      // Programs that look after their machines themselves stop them at the same time.
      const attended = attendance.standStill(attendantsMs, signal);
      // The first that fails ends the saving of all others.
      attended.catch((error: unknown) => update.end(error));
      if (facts.machines.length > 0) await machines.suspend();
      if (attendance.sessions.length > 0) machines.show();
      await attended;
      signal.throwIfAborted();
      await leaveProgram(update);
      await machines.needStopped();
    },
    async undo({ context, machines, standBack }) {
      context.attendance.letRun();
      let problems: string[];
      try {
        problems = await machines.letRunOn();
      } finally {
        standBack?.();
      }
      if (problems.length > 0) throw new Error(problems.join('; '));
    },
  },

  kexec: {
    async run(update) {
      const { clock, context, machines, plan, record, signal } = update;
      const { kernelLog, log, native, nowUs, sessions } = context;
      log('info', 'kexec', { update: record.id, release: plan.kernel.release });
      const indexRecord = update.indexRecord(null);
      // Now the phase reaches clients: one that does not hear of it before its connection ends takes the kexec for a host
      // that was lost.
      await setImmediate();
      const mark = kernelLog.mark();
      // From here to the call nothing is waited for.
      signal.throwIfAborted();
      clock.needInTime();
      machines.needNotStarted();
      try {
        update.index?.write({ ...indexRecord, jumpedAtUs: nowUs() });
        await native.kernel.rebootKexec();
      } catch (error) {
        throw new CameBack(error, kernelLog.since(mark), sessions.list());
      }
      throw new Error('the reboot call returned without an error');
    },
  },
};

/** Bytes of each machine's memory by its session. */
const memoryIn = ({ machines }: Plan): Map<string | null, number | null> =>
  new Map(machines.map(({ session, memory }) => [session, memory]));

/**
 * Writes ahead what is written once the machines are stopped, or makes sure that it has room. They still run.
 *
 * @param coming the machines as they will be saved
 * @throws Error if the next kernel's agent could not read it, or it has no room; NotPreservedInTime
 */
export async function writeAhead(update: Leaving, coming: readonly SavedMachine[]): Promise<void> {
  const { index, plan, program } = update;
  if (index === null) return;
  index.needRoom(update.indexRecord(null, coming));
  await program?.writeAhead(index, coming, memoryIn(plan));
}

/**
 * Writes out what the machines wrote last, and leaves the program with which they are brought back. They are stopped, and
 * an abort ends this.
 */
async function leaveProgram(update: Leaving): Promise<void> {
  const { index, lastSync, machines, plan, program, signal } = update;
  const compile = (): Buffer | null =>
    (index && program?.compile(index.name, machines.saved, memoryIn(plan))) ?? null;
  const writing = lastSync && writeOut(update, lastSync);
  // Nobody waits for it if compiling fails before.
  writing?.catch(() => {});
  let compiled = compile();
  const isOneLeft = await writing;
  // A machine that runs on here must not be brought back there: its memory has changed since.
  if (machines.leaveStarted() || isOneLeft) compiled = compile();
  if (index && compiled) await program?.leave(index, compiled);
  signal.throwIfAborted();
}

/**
 * Loads the kernel once more, as the last thing before machines are stopped. Any program may have loaded another one
 * meanwhile. If that was done by `kexec_load`, the reboot call freezes all sessions, the other kernel starts without the
 * handover, and everything is lost without an error; `/sys/kernel/kexec_loaded` does not tell the two apart.
 */
async function loadAgain(update: Leaving): Promise<void> {
  const { context, plan, peer, progress, signal } = update;
  progress({ message: `loading ${plan.kernel.release} again` });
  const { loadedAtUs } = await context.loader.load({
    image: plan.kernel,
    commandLine: plan.commandLine,
    peer,
    signal,
  });
  update.loadedAtUs = loadedAtUs;
  signal.throwIfAborted();
}

/** The subject of a step that is there once for each. */
function the(subject: Subject | null): Subject {
  if (subject === null) throw new Error('the step has no subject');
  return subject;
}
