// SPDX-License-Identifier: Apache-2.0
// One live update of one host, from choosing the kernel to its outcome, as the console sees it. The host disappears
// in the middle, so nothing hangs on one stream: whatever reports progress (the run's own stream, the host's status, the
// stream followed after the host came back) is taken, and once the host is there and reports none, the update itself
// is asked how it ended.
import type {
  FailurePolicy,
  MachineRun,
  Phase,
  PhaseTiming,
  Plan,
  Progress,
  Update,
} from '@luo-console/agent/interface';
import type { Host } from '@luo-console/electron/bridge';
import { callAgent, clockOffsetUs, followAgent, hostStatus } from '../bridge/agent.ts';
import { type Failure, toFailure } from '../bridge/failure.ts';
import { updatePhases } from '../words/phases.ts';
import { heardMachines } from './machine-runs.ts';
import { SerialLine } from './serial-line.ts';

/** `choose` a kernel, look at the `plan`, `running`, and `settled` when the outcome is known. */
export type Stage = 'choose' | 'plan' | 'running' | 'settled';

export class UpdateView {
  stage = $state<Stage>('choose');
  planning = $state(false);
  aborting = $state(false);
  plan = $state.raw<Plan | null>(null);
  progress = $state.raw<Progress | null>(null);
  /** The phases heard of so far, in this machine's time: the host's clock may jump at the kexec. */
  seen = $state.raw<PhaseTiming[]>([]);
  /** The machines as heard of so far, with the times of their suspension on this machine's clock. */
  machines = $state.raw<MachineRun[]>([]);
  /** The processes of the machines that were chosen to be left behind, for the plan there is. */
  left = $state.raw<readonly number[]>([]);
  /** What to do if a machine cannot be saved, for the next plan. */
  ifMachineFails = $state<FailurePolicy>('stop');
  /** When the kexec is set off, the grace being over; null until that is known. In this machine's time. */
  jumpAtUs = $state<number | null>(null);
  update = $state.raw<Update | null>(null);
  failure = $state.raw<Failure | null>(null);
  readonly serial: SerialLine;
  readonly #host: string;
  readonly #onSettled: (update: Update) => void;
  #updateId: string | null = null;
  #cancel: (() => void) | null = null;
  #asking = false;
  #offsetUs = 0;

  /** @param onSettled told once how an update ended that was seen running */
  constructor(host: string, onSettled: (update: Update) => void = () => {}) {
    this.#host = host;
    this.#onSettled = onSettled;
    this.serial = new SerialLine(host);
  }

  /** Asks for the plan of a live update into a kernel. Never throws: `failure` says what went wrong. */
  async makePlan(kernel: string, commandLine: string | null): Promise<void> {
    this.planning = true;
    this.failure = null;
    try {
      await this.#plan(kernel, commandLine, []);
      this.stage = 'plan';
    } catch (thrown) {
      this.failure = toFailure(thrown);
    } finally {
      this.planning = false;
    }
  }

  /**
   * Makes the plan there is again, with other machines left behind.
   * @param leave the processes of all machines to leave behind
   * @throws Failure; the plan there was stays
   */
  async replan(leave: readonly number[]): Promise<void> {
    if (this.plan) await this.#plan(this.plan.kernel.path, this.plan.commandLine, leave);
    this.failure = null;
  }

  async #plan(kernel: string, commandLine: string | null, leave: readonly number[]): Promise<void> {
    const { ifMachineFails } = this;
    const wishes = { kernel, initrd: null, commandLine, leave: [...leave], ifMachineFails };
    this.plan = (await callAgent(this.#host, 'MakePlan', wishes)).plan;
    this.left = wishes.leave;
  }

  /** Back to choosing a kernel; forgets plan, outcome and failure. */
  startOver(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.serial.close();
    this.stage = 'choose';
    this.plan = null;
    this.progress = null;
    this.seen = [];
    this.machines = [];
    this.jumpAtUs = null;
    this.update = null;
    this.failure = null;
    this.#updateId = null;
  }

  /** Runs the plan. @param graceSeconds how long the announced kexec waits for an abort */
  run(graceSeconds: number): void {
    if (!this.plan) return;
    this.stage = 'running';
    this.failure = null;
    this.progress = null;
    this.seen = [];
    this.machines = [];
    this.jumpAtUs = null;
    this.#updateId = null;
    this.#follow('RunUpdate', { plan: this.plan.id, graceSeconds });
  }

  /** Calls the update off. Never throws: `failure` says what went wrong. */
  async abort(): Promise<void> {
    this.aborting = true;
    this.failure = null;
    try {
      const { update } = await callAgent(this.#host, 'AbortUpdate', { reason: null });
      this.#settle(update);
    } catch (thrown) {
      this.failure = toFailure(thrown);
    } finally {
      this.aborting = false;
    }
  }

  /** Takes in what the host's status says; to be called whenever it changes. */
  observe(host: Host): void {
    // While the host is away its last status still tells how the clocks differ.
    if (host.state === 'connected' || this.#updateId === null) this.#offsetUs = clockOffsetUs(host);
    const progress = hostStatus(host)?.progress ?? null;
    if (progress && host.state !== 'disconnected') {
      if (this.stage !== 'settled' || this.#updateId !== progress.update) this.#take(progress);
    } else if (this.stage === 'running' && host.state === 'connected' && this.#updateId) {
      void this.#ask(this.#updateId);
    }
    if (this.stage === 'running' && host.state === 'connected' && !this.#cancel && this.#updateId) {
      this.#follow('FollowUpdate', { update: this.#updateId });
    }
  }

  #follow(method: 'RunUpdate', parameters: { plan: string; graceSeconds: number }): void;
  #follow(method: 'FollowUpdate', parameters: { update: string }): void;
  #follow(
    method: 'RunUpdate' | 'FollowUpdate',
    parameters: { plan: string; graceSeconds: number } | { update: string },
  ) {
    let ended = false;
    const cancel = followAgent(
      this.#host,
      method,
      parameters as { plan: string; graceSeconds: number },
      (reply) => {
        const settled = 'update' in reply ? (reply.update as Update | null) : null;
        if (settled?.outcome) this.#settle(settled);
        else if (reply.progress) this.#take(reply.progress);
      },
      (failure) => {
        ended = true;
        this.#cancel = null;
        if (method === 'RunUpdate' && failure && !this.#updateId) {
          this.failure = failure;
          this.stage = 'plan';
        } else if (this.#updateId && !failure) {
          void this.#ask(this.#updateId);
        }
      },
    );
    if (!ended) this.#cancel = cancel;
  }

  #take(progress: Progress): void {
    if (this.#updateId !== progress.update) {
      this.#updateId = progress.update;
      this.seen = [];
      this.machines = [];
      this.jumpAtUs = null;
      this.update = null;
    }
    this.stage = 'running';
    this.progress = progress;
    this.seen = heard(this.seen, progress, this.#offsetUs);
    this.machines = heardMachines(this.machines, progress.machines, this.#offsetUs);
    const jumpAtUs =
      progress.graceEndsAtUs ?? (progress.phase === 'kexec' ? progress.phaseStartedAtUs : null);
    if (jumpAtUs !== null && (progress.graceEndsAtUs !== null || this.jumpAtUs === null))
      this.jumpAtUs = jumpAtUs + this.#offsetUs;
  }

  async #ask(id: string): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    try {
      const { update } = await callAgent(this.#host, 'GetUpdate', { id });
      if (update.outcome) this.#settle(update);
    } catch (thrown) {
      const failure = toFailure(thrown);
      // The host may go away between its last word and this question: its status will tell when it is back.
      if (failure.name === 'UpdateNotFound') this.failure = failure;
    } finally {
      this.#asking = false;
    }
  }

  #settle(update: Update): void {
    this.#cancel?.();
    this.#cancel = null;
    this.serial.close();
    const news = this.stage === 'running';
    this.#updateId = update.id;
    this.update = update;
    this.progress = null;
    this.plan = null;
    this.stage = 'settled';
    if (news) this.#onSettled(update);
  }
}

/**
 * The phases heard of so far with one more report added: a phase ends when a later one begins.
 * @param offsetUs what to add to the host's time to get this machine's
 */
export function heard(seen: PhaseTiming[], progress: Progress, offsetUs: number): PhaseTiming[] {
  const last = seen.at(-1);
  const order = (phase: Phase) => updatePhases.indexOf(phase);
  if (last && order(progress.phase) <= order(last.phase)) return seen;
  const startedAtUs = progress.phaseStartedAtUs + offsetUs;
  const ended = last
    ? [...seen.slice(0, -1), { ...last, durationUs: Math.max(0, startedAtUs - last.startedAtUs) }]
    : [];
  return [...ended, { phase: progress.phase, startedAtUs, durationUs: null }];
}
