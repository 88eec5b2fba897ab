// SPDX-License-Identifier: Apache-2.0
/**
 * Leaving this kernel: does the steps of a plan that lie before the kexec, in the plan's order. If a step fails, or
 * somebody aborts the update, the steps that were done are undone in reverse and the update is settled here. The
 * last step does not return, unless the kernel refuses: then nothing is lost either.
 */
import type { SavedMachine } from '../../adoption/saved-machine.ts';
import { Refusal } from '../../host/refusal.ts';
import { saidBy } from '../../host/said-by.ts';
import { StopClock } from '../../host/stop-clock.ts';
import type { Peer, Phase, Progress, Update } from '../../interface/agent.generated.ts';
import type { RecordedPeer } from '../../journal/index.ts';
import type { MadePlan } from '../plan/plan.ts';
import { type IndexRecord, newIndexRecord } from '../record/index-record.ts';
import { wayTo, withPhase } from '../record/phases.ts';
import type { ProgressBoard, StepProgress } from '../record/progress.ts';
import { ended, newRecord, stayed } from '../record/record.ts';
import { CameBack } from '../record/refused.ts';
import { isLeaving, mayAbort } from '../record/steps.ts';
import type { UpdateContext } from '../record/update-context.ts';
import { acts, type Leaving, writeAhead } from './acts.ts';
import { programFor } from './resume-program.ts';
import { RunMachines } from './run-machines.ts';
import { StepList } from './step-list.ts';

/** How long is waited until machines are watched again and what has ended is closed, in ms. */
const watchingMs = 200;

/** A person ended the update before the reboot call. The message is their reason. */
class Aborted extends Error {}

export interface DepartureOptions {
  readonly made: MadePlan;
  /** How long the announced kexec waits for an abort, in seconds. */
  readonly graceSeconds: number;
  readonly peer: Peer;
}

export class Departure {
  readonly #context: UpdateContext;
  readonly #board: ProgressBoard;
  readonly #made: MadePlan;
  readonly #steps: StepList;
  readonly #abort = new AbortController();
  readonly #machines: RunMachines;
  readonly #clock: StopClock;
  #record: Update;
  #lastProgress: Progress;

  /** Resolves when the update is settled, which a successful one is only in the next kernel. */
  readonly settled: Promise<Update>;

  constructor(context: UpdateContext, board: ProgressBoard, { made, graceSeconds, peer }: DepartureOptions) {
    this.#context = context;
    this.#board = board;
    this.#made = made;
    const { plan } = made;
    const recorded: RecordedPeer = { ...peer };
    this.#clock = new StopClock(plan.stopLimitUs, (reason) => this.#abort.abort(reason));
    // The log is read from its start at the first mark: not while machines are stopped.
    context.kernelLog.mark();
    this.#record = newRecord(context, plan.kernel.release, peer);
    context.history.started(this.#record, {
      peer: recorded,
      parameters: {
        plan: plan.id,
        kernel: plan.kernel.path,
        commandLine: plan.commandLine,
        graceSeconds,
        stopLimitUs: plan.stopLimitUs,
        ...(made.despite.length === 0 ? {} : { despite: made.despite }),
      },
    });
    this.#enter('preserving');
    this.#machines = new RunMachines(context, {
      plan,
      actor: { peer: recorded, name: peer.user },
      brownoutFromUs: context.phases.startedAtUs,
      index: () => leaving.index,
      writeAhead: (coming) => writeAhead(leaving, coming),
      stopping: () => this.#clock.start(),
      changed: () => this.#showMachines(),
      signal: this.#abort.signal,
    });
    // Those that are left behind are known from the start, and nothing about them changes any more.
    this.#record = { ...this.#record, machines: this.#machines.runs() };
    const leaving = this.#leaving(recorded, graceSeconds);
    this.#steps = new StepList({
      ...{ journal: context.journal, unended: context.unended, peer: recorded, update: this.id },
      signal: this.#abort.signal,
      nowUs: () => context.nowUs(),
      work: ({ id, subject }) => {
        const { run, undo } = acts[id];
        return { run: () => run(leaving, subject), ...(undo && { undo: () => undo(leaving, subject) }) };
      },
      begin: ({ shown, doing }) => {
        for (const phase of wayTo(context.phases.phase, shown.phase) ?? []) this.#enter(phase);
        this.#record = { ...this.#record, machines: this.#machines.runs() };
        this.#show({ step: shown.id, message: doing });
      },
      undoing: ({ shown, doing }) => void this.#show({ step: shown.id, message: `undoing: ${doing}` }),
      runOn: () => context.adoptions.stopped.letRunOn(),
    });
    this.#lastProgress = this.#show({ step: null, message: 'starting' });
    this.settled = this.#execute();
  }

  get id(): string {
    return this.#record.id;
  }

  /** The steps, once the update is settled: what could not be undone is tried again with them. */
  get steps(): Pick<StepList, 'left' | 'undoLeft'> {
    return this.#steps;
  }

  /** The newest progress. */
  get progress(): Progress {
    return this.#lastProgress;
  }

  /** Progress until the update is settled here, or the caller is gone. */
  async *follow(signal: AbortSignal): AsyncGenerator<Progress> {
    for await (const { progress } of this.#board.follow(signal)) if (progress !== null) yield progress;
  }

  /**
   * Aborts the update and resolves once everything is undone.
   *
   * @throws Refusal WrongPhase once the reboot call is made.
   */
  async abort(reason: string): Promise<Update> {
    const { phase } = this.#lastProgress;
    if (!mayAbort({ phase })) throw new Refusal('WrongPhase', { phase, needed: 'a phase before the kexec' });
    this.#abort.abort(new Aborted(reason));
    return await this.settled;
  }

  async #execute(): Promise<Update> {
    let failure: unknown;
    try {
      await this.#steps.run(this.#made.steps.filter(isLeaving));
      failure = new Error('the steps before the kexec ended without one');
    } catch (error) {
      failure = error;
    }
    this.#clock.stop();
    const problems = await this.#steps.undo();
    const { adoptions, log, unended } = this.#context;
    this.#machines.noticeRunning();
    try {
      // A machine that has ended meanwhile has nothing to preserve any more. Its session goes page by page.
      const watching = 'watching machines again, and closing the sessions of those that have ended';
      await unended.waitFor(watching, adoptions.takeOver(), { limitMs: watchingMs });
    } catch (error) {
      log('error', 'not every machine is watched', { update: this.id, problem: saidBy(error) });
    }
    this.#enter('normal');
    return this.#settle(failure, problems);
  }

  #settle(failure: unknown, problems: readonly string[]): Update {
    const { history, log, nowUs } = this.#context;
    const cameBack = failure instanceof CameBack ? failure : null;
    const said = saidBy(failure);
    const reason = [said, ...problems].join('; ');
    const outcome = cameBack === null ? 'aborted' : 'returned';
    const record = {
      ...this.#record,
      refusedBy: cameBack?.refusedBy ?? null,
      machines: this.#machines.runs(),
    };
    this.#record = ended(stayed(record), outcome, reason, nowUs());
    const level = outcome === 'aborted' ? 'warning' : 'error';
    log(level, `live update ${outcome}`, { update: this.id, reason });
    this.#lastProgress = {
      ...this.#lastProgress,
      phase: 'normal',
      step: null,
      message: `${outcome}: ${reason}`,
      graceEndsAtUs: null,
      mayAbort: false,
    };
    try {
      history.settled(this.#record, cameBack?.errno ?? null);
    } catch (error) {
      const problem = String(error);
      log('error', 'the end of the update could not be written', { update: this.id, problem });
    }
    this.#board.settle(this.#record);
    return this.#record;
  }

  /** This update as its steps see it. */
  #leaving(peer: RecordedPeer, graceSeconds: number): Leaving {
    const departure = this;
    const { plan, facts } = this.#made;
    return {
      ...{ context: this.#context, plan, facts, peer, graceSeconds },
      signal: this.#abort.signal,
      end: (reason) => this.#abort.abort(reason),
      machines: this.#machines,
      clock: this.#clock,
      program: programFor(this.#context, plan.commandLine, plan.kernel.release),
      index: null,
      loadedAtUs: null,
      lastSync: null,
      standBack: null,
      get record() {
        return departure.#record;
      },
      change(change) {
        departure.#record = { ...departure.#record, ...change };
      },
      indexRecord: (jumpedAtUs, saved) => this.#indexRecord(jumpedAtUs, saved ?? this.#machines.saved),
      progress: ({ message, ...more }) => {
        const { step, message: before } = this.#lastProgress;
        this.#show({ step, message: message ?? before, ...more });
      },
    };
  }

  #indexRecord(jumpedAtUs: number | null, saved: readonly SavedMachine[]): IndexRecord {
    const { sessions, counterRate } = this.#context;
    return newIndexRecord({
      update: this.#record,
      facts: this.#made.facts,
      sessions: sessions.list().map((held) => {
        const { name, descriptors } = held.toBrief();
        return { name, descriptors };
      }),
      jumpedAtUs,
      machines: [...saved],
      clock: counterRate.read(),
    });
  }

  #enter(phase: Phase): void {
    this.#context.phases.enter(phase);
    const { startedAtUs } = this.#context.phases;
    this.#record = { ...this.#record, phases: withPhase(this.#record.phases, phase, startedAtUs) };
  }

  #showMachines(): void {
    this.#record = { ...this.#record, machines: this.#machines.runs() };
    const { step, message } = this.#lastProgress;
    this.#show({ step, message });
  }

  #show(step: StepProgress): Progress {
    this.#board.show(this.#record, step);
    this.#lastProgress = this.#board.progress ?? this.#lastProgress;
    return this.#lastProgress;
  }
}
