// SPDX-License-Identifier: Apache-2.0
/**
 * Running a plan. The phases before the kexec and their steps are one list; each step says how it is done and how
 * it is undone. If a step fails, or somebody calls the update off, the steps done are undone in reverse and the
 * update is settled. The last step does not return, unless the kernel refuses: then nothing is lost either.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Refusal } from '../../host/refusal.ts';
import type { Peer, Phase, Progress, Update } from '../../interface/agent.generated.ts';
import type { RecordedPeer } from '../../journal/index.ts';
import { markKernelLog } from '../../kernel/log.ts';
import type { MadePlan } from '../plan/plan.ts';
import { OutgoingIndex } from '../record/index-session.ts';
import { withPhase } from '../record/phases.ts';
import type { ProgressBoard } from '../record/progress.ts';
import { carriedBefore, ended, newRecord, stayed } from '../record/record.ts';
import { CameBack } from '../record/refused.ts';
import { stepIds } from '../record/steps.ts';
import type { UpdateContext } from '../record/update-context.ts';
import { digestSteps } from './digest-steps.ts';
import { RunMachines } from './run-machines.ts';
import { type ExecutableStep, StepList } from './step-list.ts';

/** How long whoever attends a session may take to say that its machine stands still, in ms. */
const attendantsMs = 10_000;

class CalledOff extends Error {}

export interface DepartureOptions {
  readonly made: MadePlan;
  /** How long the announced kexec waits to be called off, in seconds. */
  readonly graceSeconds: number;
  readonly peer: Peer;
}

export class Departure {
  readonly #context: UpdateContext;
  readonly #board: ProgressBoard;
  readonly #options: DepartureOptions;
  readonly #peer: RecordedPeer;
  readonly #steps: StepList;
  readonly #callOff = new AbortController();
  #record: Update;
  readonly #machines: RunMachines;
  #index: OutgoingIndex | null = null;
  #jumping = false;
  #lastProgress: Progress;

  /** Resolves when the update is settled, which a successful one is only in the next kernel. */
  readonly settled: Promise<Update>;

  constructor(context: UpdateContext, board: ProgressBoard, options: DepartureOptions) {
    this.#context = context;
    this.#board = board;
    this.#options = options;
    this.#peer = { ...options.peer };
    // The log is read from its start at the first mark: not while machines stand still.
    context.sessions.context.kernelLog.mark();
    this.#record = newRecord(context, options.made.plan.kernel.release, options.peer);
    const { plan } = options.made;
    context.history.started(this.#record, {
      peer: this.#peer,
      parameters: {
        plan: plan.id,
        kernel: plan.kernel.path,
        commandLine: plan.commandLine,
        graceSeconds: options.graceSeconds,
      },
    });
    this.#steps = new StepList({
      ...{ journal: context.journal, peer: this.#peer, update: this.id, signal: this.#callOff.signal },
      show: (step, message) => void this.#show(step, message),
    });
    this.#enter('preserving');
    this.#machines = new RunMachines(context, {
      plan,
      actor: { peer: this.#peer, name: options.peer.user },
      brownoutFromUs: context.phases.startedAtUs,
      index: () => this.#index,
      changed: () => this.#showMachines(),
    });
    this.#lastProgress = this.#show(null, 'starting');
    this.settled = this.#execute();
  }

  get id(): string {
    return this.#record.id;
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
   * Calls the update off and resolves once everything is undone.
   *
   * @throws Refusal WrongPhase once the reboot call is being made.
   */
  async abort(reason: string): Promise<Update> {
    if (this.#jumping)
      throw new Refusal('WrongPhase', { phase: 'kexec', needed: 'a phase before the kexec is set off' });
    this.#callOff.abort(new CalledOff(reason));
    return await this.settled;
  }

  async #execute(): Promise<Update> {
    let reason: string;
    let cameBack: CameBack | null = null;
    try {
      await this.#steps.run([this.#loadStep(), ...this.#machines.protectSteps()]);
      this.#enter('prepared');
      const digests = digestSteps(this.#context.sessions, this.#callOff.signal, (step, message, more) => {
        this.#show(step, message, more);
      });
      await this.#steps.run([this.#indexStep(), ...digests, ...this.#machines.prepareSteps()]);
      await this.#announce();
      this.#enter('suspending');
      await this.#suspend();
      this.#enter('kexec');
      await this.#kexec();
      throw new Error('the reboot call returned without an error');
    } catch (error) {
      if (error instanceof CameBack) cameBack = error;
      reason = error instanceof Error ? error.message : String(error);
    }
    // Before anything else: machines may be standing still.
    this.#context.attendance.letRun();
    const problems = await this.#machines.letRunOn();
    problems.push(...(await this.#steps.undo()));
    // One that has ended meanwhile has nothing to preserve any more.
    await this.#context.adoptions.takeOver();
    this.#enter('normal');
    await this.#context.adoptions.letRunOn();
    const outcome = cameBack === null ? 'aborted' : 'returned';
    this.#record = { ...this.#record, refusedBy: cameBack?.refusedBy ?? null };
    const whole = [reason, ...problems].join('; ');
    this.#record = ended(
      stayed({ ...this.#record, machines: this.#machines.runs() }),
      outcome,
      whole,
      this.#context.nowUs(),
    );
    this.#context.log(outcome === 'aborted' ? 'warning' : 'error', `live update ${outcome}`, {
      update: this.id,
      reason: whole,
    });
    this.#lastProgress = {
      ...this.#lastProgress,
      phase: 'normal',
      step: null,
      message: `${outcome}: ${whole}`,
      graceEndsAtUs: null,
      mayAbort: false,
    };
    try {
      this.#context.history.settled(this.#record, cameBack?.errno ?? null);
    } catch (error) {
      const problem = String(error);
      this.#context.log('error', 'the end of the update could not be written', { update: this.id, problem });
    }
    this.#board.settle(this.#record);
    return this.#record;
  }

  #loadStep(): ExecutableStep {
    const { loader } = this.#context;
    const { kernel: image, commandLine } = this.#options.made.plan;
    return {
      id: stepIds.load,
      message: `loading ${image.release}`,
      run: async () => void (await loader.load({ image, commandLine, peer: this.#peer })),
      undo: async () => {
        if (loader.loaded !== null) await loader.unload(this.#peer);
      },
    };
  }

  #indexStep(): ExecutableStep {
    return {
      id: stepIds.index,
      message: 'creating the index session',
      run: async () => {
        // A preserve that was asked for before the update began may still be walking pages.
        await this.#context.sessions.quiet();
        this.#record = { ...this.#record, carried: carriedBefore(this.#context) };
        this.#index = await OutgoingIndex.create(
          this.#context,
          this.#indexRecord(null),
          this.#machines.count,
        );
      },
      undo: () => {
        this.#index?.close();
        this.#index = null;
      },
    };
  }

  async #announce(): Promise<void> {
    const { native, history, nowUs, paths } = this.#context;
    const { plan } = this.#options.made;
    this.#callOff.signal.throwIfAborted();
    const announcedAtUs = nowUs();
    const graceEndsAtUs = announcedAtUs + this.#options.graceSeconds * 1_000_000;
    this.#record = { ...this.#record, announcedAtUs, graceEndsAtUs, carried: carriedBefore(this.#context) };
    this.#index?.write(this.#indexRecord(null));
    history.announced(this.#record, {
      peer: this.#peer,
      parameters: { graceSeconds: this.#options.graceSeconds },
    });
    markKernelLog(paths, `update ${this.id} announced, kexec into ${plan.kernel.release}`);
    await this.#grace();
    // Most of what is to be written to disk is, before the machines stop.
    await native.kernel.sync();
  }

  async #suspend(): Promise<void> {
    const { attendance } = this.#context;
    this.#callOff.signal.throwIfAborted();
    if (this.#machines.count === 0 && attendance.sessions.length === 0) return;
    this.#show(stepIds.suspend, 'stopping the machines and saving their states');
    // Those that VMMs look after themselves stop at the same time.
    const attended = attendance.standStill(attendantsMs, this.#callOff.signal);
    if (this.#machines.count > 0) await this.#machines.suspend();
    const problems = await attended;
    this.#callOff.signal.throwIfAborted();
    if (problems.size === 0) return;
    throw new Error([...problems].map(([name, problem]) => `session ${name}: ${problem}`).join('; '));
  }

  async #kexec(): Promise<void> {
    const { native, nowUs, sessions } = this.#context;
    const { kernelLog } = sessions.context;
    const { plan } = this.#options.made;
    this.#jumping = true;
    this.#show(stepIds.jump, `starting ${plan.kernel.release}`);
    this.#context.log('info', 'kexec', { update: this.id, release: plan.kernel.release });
    const mark = kernelLog.mark();
    try {
      await native.kernel.sync();
      this.#index?.write(this.#indexRecord(nowUs()));
      await native.kernel.rebootKexec();
    } catch (error) {
      throw new CameBack(error, kernelLog.since(mark), sessions.list());
    }
  }

  async #grace(): Promise<void> {
    const { graceSeconds } = this.#options;
    const graceEndsAtUs = graceSeconds === 0 ? null : this.#record.graceEndsAtUs;
    this.#show(stepIds.announce, 'the kexec is announced', { graceEndsAtUs });
    if (graceSeconds > 0)
      await delay(graceSeconds * 1000, undefined, { signal: this.#callOff.signal }).catch(() => {});
    this.#callOff.signal.throwIfAborted();
  }

  #indexRecord(jumpedAtUs: number | null): Parameters<OutgoingIndex['write']>[0] {
    const sessions = this.#context.sessions.list().map((held) => held.toBrief());
    return {
      format: 'luo-index-1',
      update: this.#record,
      sessions: sessions.map(({ name, descriptors }) => ({ name, descriptors })),
      jumpedAtUs,
      machines: [...this.#machines.saved],
      clock: this.#context.counterRate.read(),
    };
  }

  #enter(phase: Phase): void {
    this.#context.phases.enter(phase);
    this.#record = {
      ...this.#record,
      phases: withPhase(this.#record.phases, phase, this.#context.phases.startedAtUs),
    };
  }

  #showMachines(): void {
    this.#record = { ...this.#record, machines: this.#machines.runs() };
    const { step, message } = this.#lastProgress;
    this.#show(step, message);
  }

  #show(
    step: string | null,
    message: string,
    more: { done?: number; total?: number; graceEndsAtUs?: number | null } = {},
  ): Progress {
    this.#board.show(this.#record, { step, message, ...more, mayAbort: !this.#jumping });
    this.#lastProgress = this.#board.progress ?? this.#lastProgress;
    return this.#lastProgress;
  }
}
