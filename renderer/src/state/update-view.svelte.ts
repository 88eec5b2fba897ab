// SPDX-License-Identifier: Apache-2.0
/**
 * One update of one host for the window: asks the agent, listens to it, and puts what it hears into one `UpdateState`.
 * The host disappears in the middle, so nothing hangs on one stream. Whatever reports progress is taken: the run's own
 * stream, the host's status, the stream followed after the host came back. Once the host is there and reports none, the
 * update itself is asked how it ended.
 */
import type { AgentMethods, FailurePolicy, Update } from '@luo-console/agent/interface';
import type { Host } from '@luo-console/electron/interface';
import { callAgent, clockOffsetUs, followAgent, hostStatus } from '../bridge/agent.ts';
import { toFailure } from '../bridge/failure.ts';
import { SerialLine } from './serial-line.ts';
import { afterEvent, initialState, type UpdateEvent, type UpdateState } from './update-state.ts';

export class UpdateView {
  /** All that is known of the update. */
  state = $state.raw<UpdateState>(initialState);
  /** Whether a plan is being made, for the first time or again. */
  planning = $state(false);
  aborting = $state(false);
  /** The processes of the machines that were chosen to be left behind, for the plan there is. */
  left = $state.raw<readonly number[]>([]);
  /** Those of the machines that are carried over although their rehearsal failed, for the plan there is. */
  despite = $state.raw<readonly number[]>([]);
  /** What to do if a machine cannot be saved, for the next plan. */
  ifMachineFails = $state<FailurePolicy>('stop');
  /** The stop limit of the next plan, in seconds; null for the usual one. */
  stopLimitSeconds = $state<number | null>(null);
  readonly serial: SerialLine;
  readonly #host: string;
  readonly #onSettled: (update: Update) => void;
  #cancel: (() => void) | null = null;
  #asking = false;
  /** Counts what was asked for: a plan that was asked for before something else comes too late. */
  #wishes = 0;
  #offsetUs = 0;

  /** @param onSettled told once how an update ended that was seen running */
  constructor(host: string, onSettled: (update: Update) => void = () => {}) {
    this.#host = host;
    this.#onSettled = onSettled;
    this.serial = new SerialLine(host);
  }

  /** Asks for the plan of an update into a kernel. Never throws: the state's `failure` says what went wrong. */
  async makePlan(kernel: string, commandLine: string | null): Promise<void> {
    this.#tell({ kind: 'asked' });
    try {
      await this.#plan(kernel, commandLine, [], []);
    } catch (thrown) {
      this.#tell({ kind: 'failed', failure: toFailure(thrown) });
    }
  }

  /**
   * Makes the plan there is again, with other machines left behind, or carried over.
   * @param leave the processes of all machines to leave behind
   * @param despite those of all machines to carry over although their rehearsal failed
   * @throws Failure; the plan there was stays
   */
  async replan(leave: readonly number[], despite: readonly number[] = this.despite): Promise<void> {
    const { plan } = this.state;
    if (plan) await this.#plan(plan.kernel.path, plan.commandLine, leave, despite);
  }

  async #plan(
    kernel: string,
    commandLine: string | null,
    leave: readonly number[],
    despite: readonly number[],
  ): Promise<void> {
    const { ifMachineFails, stopLimitSeconds } = this;
    // An older agent does not know these.
    const named = {
      ...(despite.length === 0 ? {} : { despite: [...despite] }),
      ...(stopLimitSeconds === null ? {} : { stopLimitSeconds }),
    };
    const wishes = { kernel, initrd: null, commandLine, leave: [...leave], ifMachineFails, ...named };
    this.#wishes += 1;
    const mine = this.#wishes;
    this.planning = true;
    try {
      const { plan } = await callAgent(this.#host, 'MakePlan', wishes);
      if (mine !== this.#wishes) return;
      this.left = wishes.leave;
      this.despite = despite;
      this.#tell({ kind: 'planned', plan });
    } finally {
      if (mine === this.#wishes) this.planning = false;
    }
  }

  /** Back to choosing a kernel; forgets plan, outcome and failure. */
  startOver(): void {
    this.#wishes += 1;
    this.planning = false;
    this.#stopListening();
    this.#tell({ kind: 'startedOver' });
  }

  /** Runs the plan there is. @param graceSeconds how long the announced update waits for an abort */
  run(graceSeconds: number): void {
    const { plan } = this.state;
    if (!plan) return;
    this.#tell({ kind: 'started' });
    this.#follow('RunUpdate', { plan: plan.id, graceSeconds });
  }

  /** Aborts the update. Never throws: the state's `failure` says what went wrong. */
  async abort(): Promise<void> {
    this.aborting = true;
    this.#tell({ kind: 'asked' });
    try {
      const { update } = await callAgent(this.#host, 'AbortUpdate', { reason: null });
      this.#settle(update);
    } catch (thrown) {
      this.#tell({ kind: 'failed', failure: toFailure(thrown) });
    } finally {
      this.aborting = false;
    }
  }

  /** Takes in what the host's status says; to be called whenever it changes. */
  observe(host: Host): void {
    const { id } = this.state;
    // While the host is away its last status still tells how the clocks differ.
    if (host.state === 'connected' || id === null) this.#offsetUs = clockOffsetUs(host);
    const progress = hostStatus(host)?.progress ?? null;
    if (progress && host.state !== 'disconnected') {
      this.#tell({ kind: 'progress', progress, offsetUs: this.#offsetUs });
    } else if (this.state.stage === 'running' && host.state === 'connected' && id !== null) {
      void this.#ask(id);
    }
    if (this.state.stage === 'running' && host.state === 'connected' && !this.#cancel && this.state.id) {
      this.#follow('FollowUpdate', { update: this.state.id });
    }
  }

  #tell(event: UpdateEvent): void {
    this.state = afterEvent(this.state, event);
  }

  #follow<M extends 'RunUpdate' | 'FollowUpdate'>(
    method: M,
    parameters: AgentMethods[M]['parameters'],
  ): void {
    let ended = false;
    const cancel = followAgent(
      this.#host,
      method,
      parameters,
      (reply) => {
        const settled = 'update' in reply ? reply.update : null;
        if (settled?.outcome) this.#settle(settled);
        else if (reply.progress)
          this.#tell({ kind: 'progress', progress: reply.progress, offsetUs: this.#offsetUs });
      },
      (failure) => {
        ended = true;
        this.#cancel = null;
        const { id } = this.state;
        if (method === 'RunUpdate' && failure && id === null) this.#tell({ kind: 'notStarted', failure });
        else if (id !== null && !failure) void this.#ask(id);
      },
    );
    if (!ended) this.#cancel = cancel;
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
      if (failure.name === 'UpdateNotFound') this.#tell({ kind: 'failed', failure });
    } finally {
      this.#asking = false;
    }
  }

  #settle(update: Update): void {
    this.#stopListening();
    const news = this.state.stage === 'running';
    this.#tell({ kind: 'settled', update });
    if (news) this.#onSettled(update);
  }

  #stopListening(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.serial.close();
  }
}
