// SPDX-License-Identifier: Apache-2.0
/**
 * How far the live update under way is, for its followers. A slow follower sees the newest state, not every one in
 * between.
 */
import { EventEmitter } from 'node:events';
import type { Progress, Update } from '../../interface/agent.generated.ts';
import type { Phases } from './phases.ts';
import { mayAbort } from './steps.ts';

/** What a step says about itself while it runs. */
export interface StepProgress {
  readonly step: string | null;
  readonly message: string;
  readonly done?: number | null;
  readonly total?: number | null;
  readonly graceEndsAtUs?: number | null;
}

export class ProgressBoard {
  /** Emits `changed`. */
  readonly events = new EventEmitter().setMaxListeners(0);
  readonly #phases: Phases;
  #progress: Progress | null = null;
  #settled: Update | null = null;
  #version = 0;

  constructor(phases: Phases) {
    this.#phases = phases;
  }

  get progress(): Progress | null {
    return this.#progress;
  }

  /** Shows a step of an update in the phase the host is in. */
  show(update: Pick<Update, 'id' | 'startedAtUs' | 'machines'>, step: StepProgress): void {
    const { phase } = this.#phases;
    this.#progress = {
      update: update.id,
      phase,
      phaseStartedAtUs: this.#phases.startedAtUs,
      startedAtUs: update.startedAtUs,
      step: step.step,
      message: step.message,
      done: step.done ?? null,
      total: step.total ?? null,
      graceEndsAtUs: step.graceEndsAtUs ?? null,
      mayAbort: mayAbort({ phase }),
      machines: update.machines,
    };
    this.#settled = null;
    this.#news();
  }

  /** Shows that an update has ended. */
  settle(update: Update): void {
    this.#progress = null;
    this.#settled = update;
    this.#news();
  }

  /** The update under way, or the next one, until it is settled: then once with the update, and the end. */
  async *follow(signal: AbortSignal): AsyncGenerator<{ progress: Progress | null; update: Update | null }> {
    let seen = this.#progress === null ? this.#version : this.#version - 1;
    while (!signal.aborted) {
      if (this.#version === seen) await this.#next(signal);
      if (signal.aborted) return;
      seen = this.#version;
      if (this.#progress !== null) yield { progress: this.#progress, update: null };
      else if (this.#settled !== null) {
        yield { progress: null, update: this.#settled };
        return;
      }
    }
  }

  #next(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.events.off('changed', wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.events.on('changed', wake);
      signal.addEventListener('abort', wake);
    });
  }

  #news(): void {
    this.#version += 1;
    this.events.emit('changed');
  }
}
