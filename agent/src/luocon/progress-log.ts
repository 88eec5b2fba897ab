// SPDX-License-Identifier: Apache-2.0
/**
 * A live update as it goes on, in lines that read well in a log. A terminal also shows a row for each machine below the
 * newest line, and rewrites the rows as they change. A log gets a line for each stage that a machine reaches, and for what
 * it waits for before its VMM has its state.
 */
import type { MachineRun, MachineStage, Progress } from '../interface/agent.generated.ts';
import { describeProgress } from './commands/status.ts';
import type { Screen } from './screen.ts';
import { stageWords } from './words/machines.ts';
import { clock, duration } from './words/quantities.ts';

/** Where a machine stands, in one line. */
function lineOf({ name, stage, detail, blackoutUs }: MachineRun): string {
  const took = blackoutUs === null ? '' : `, blackout ${duration(blackoutUs)}`;
  return `${name}: ${stageWords[stage]}${took}${detail === '' ? '' : ` (${detail})`}`;
}

/** Stages whose detail changes seldom, and says what is waited for. */
const waiting: readonly MachineStage[] = ['retrieving', 'starting'];

/** One row a machine, below each other. */
function rowsOf(machines: readonly MachineRun[]): string[] {
  const width = Math.max(0, ...machines.map(({ name }) => name.length));
  return machines.map((machine) => `  ${''.padEnd(width - machine.name.length)}${lineOf(machine)}`);
}

/** Prints phases and steps as they begin, and how long each phase took once the next begins. */
export class ProgressLog {
  private readonly screen: Screen;
  private last: Progress | null = null;
  private awaySinceMs = 0;
  private missedSome = false;

  constructor(screen: Screen) {
    this.screen = screen;
  }

  show(progress: Progress): void {
    const { last } = this;
    this.last = progress;
    // Phases that passed while the host was away are not in what we saw, and `normal` is no phase that ends
    // another but the end of the update; the report has them all.
    const next = last !== null && last.phase !== progress.phase && progress.phase !== 'normal';
    if (next && !this.missedSome) {
      const tookUs = Math.max(0, progress.phaseStartedAtUs - last.phaseStartedAtUs);
      this.screen.line(`${this.now()}  ${last.phase} took ${duration(tookUs)}`);
    }
    this.missedSome = false;
    const text = `${this.now()}  ${describeProgress(progress)}`;
    const sameStep =
      last?.phase === progress.phase && last.step === progress.step && last.message === progress.message;
    const same = sameStep && last.graceEndsAtUs === progress.graceEndsAtUs;
    if (!same) this.screen.line(text);
    if (this.screen.terminal) this.screen.transient(...(same ? [text] : []), ...rowsOf(progress.machines));
    else this.showStages(progress.machines, last?.machines ?? []);
  }

  private showStages(machines: readonly MachineRun[], before: readonly MachineRun[]): void {
    for (const machine of machines) {
      const { name, pid, stage, detail } = machine;
      const known = before.find((other) => other.name === name && other.pid === pid);
      const waitsAgain = waiting.includes(stage) && known?.detail !== detail;
      if ((known?.stage ?? 'waiting') !== stage || waitsAgain)
        this.screen.line(`${this.now()}  ${lineOf(machine)}`);
    }
  }

  away(): void {
    this.awaySinceMs = performance.now();
    this.missedSome = true;
    const phase = this.last === null ? '' : ` in phase ${this.last.phase}`;
    this.screen.line(`${this.now()}  Connection lost${phase}. Waiting for the host to return.`);
  }

  waiting(ms: number): void {
    this.screen.transient(`Away for ${duration(Math.round(ms * 1000))}.`);
  }

  /** The time here, which is when a line was written; the host's clock may be another. */
  private now(): string {
    return clock(Date.now() * 1000);
  }

  back(): void {
    const ms = performance.now() - this.awaySinceMs;
    this.screen.line(`${this.now()}  The agent answered again after ${duration(Math.round(ms * 1000))}.`);
  }
}
