// SPDX-License-Identifier: Apache-2.0
/**
 * Where the host stands in a live update, as a table: which phase may follow which. Everything that moves the
 * host from one to another goes through `enter`, which is the only place where a phase changes.
 *
 *     normal → preserving → prepared → suspending → kexec ╌╌(next kernel)╌╌ booting → retrieving → resuming
 *        ↑         │           │            │         │                       │          │           │
 *        ├─────────┴───────────┴────────────┴─────────┴── aborted             ├──────────┤           ↓
 *        └────────────────────────────────────────────────────────────────────┴──────────┴─────── finishing
 *
 * The kexec ends one agent and another begins; that one starts in `normal` and enters `booting` if it finds that
 * an update brought it here.
 */
import { EventEmitter } from 'node:events';
import type { Phase, PhaseTiming } from '../../interface/agent.generated.ts';
import { stepKinds } from './steps.ts';

const followers: Readonly<Record<Phase, readonly Phase[]>> = {
  normal: ['preserving', 'booting'],
  preserving: ['prepared', 'normal'],
  prepared: ['suspending', 'normal'],
  suspending: ['kexec', 'normal'],
  kexec: ['normal'],
  booting: ['retrieving', 'normal'],
  retrieving: ['resuming', 'normal'],
  resuming: ['finishing'],
  finishing: ['normal'],
};

/** Whether one phase may follow another. */
export function mayFollow(from: Phase, to: Phase): boolean {
  return followers[from].includes(to);
}

/**
 * The phases to enter, one after the other, to come from one to another: forward only.
 *
 * @returns the last is `to`; empty if that is where the host is; null if no way leads there
 */
export function wayTo(from: Phase, to: Phase): Phase[] | null {
  const way: Phase[] = [];
  for (let at = from; at !== to; ) {
    // The kexec leads into the next kernel; elsewhere the first follower is the one that goes on.
    const next = at === 'kexec' ? 'booting' : followers[at][0];
    if (next === undefined || next === 'normal') return null;
    way.push(next);
    at = next;
  }
  return way;
}

/**
 * Checks that steps in this order only go forward. Done with the table itself when the agent starts.
 *
 * @throws Error that names the two steps that do not fit
 */
export function checkForward(kinds: readonly (readonly [string, { readonly phase: Phase }])[]): void {
  for (const [index, [id, { phase }]] of kinds.entries()) {
    const [before, { phase: from }] = kinds[index - 1] ?? ['the start', { phase: 'normal' }];
    if (wayTo(from, phase) === null)
      throw new Error(`step ${id} in phase ${phase} cannot follow ${before} in phase ${from}`);
  }
}
checkForward(stepKinds);

export class Phases {
  /** Emits `changed`. */
  readonly events = new EventEmitter().setMaxListeners(0);
  readonly #nowUs: () => number;
  #phase: Phase = 'normal';
  #startedAtUs: number;

  constructor(nowUs: () => number) {
    this.#nowUs = nowUs;
    this.#startedAtUs = nowUs();
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** When the phase was entered, µs since the epoch. */
  get startedAtUs(): number {
    return this.#startedAtUs;
  }

  /**
   * Moves to the next phase.
   *
   * @param atUs when it began, if that is not now.
   * @throws Error if the table does not allow it: a fault of the agent, not of its caller.
   */
  enter(next: Phase, atUs = this.#nowUs()): void {
    if (!mayFollow(this.#phase, next)) throw new Error(`phase ${next} cannot follow ${this.#phase}`);
    this.#phase = next;
    this.#startedAtUs = atUs;
    this.events.emit('changed');
  }
}

/** The timings with one more phase begun: the one before ends where it begins. `normal` ends the list. */
export function withPhase(timings: readonly PhaseTiming[], phase: Phase, startedAtUs: number): PhaseTiming[] {
  const ended = timings.map((timing) =>
    timing.durationUs === null
      ? { ...timing, durationUs: Math.max(0, startedAtUs - timing.startedAtUs) }
      : timing,
  );
  return phase === 'normal' ? ended : [...ended, { phase, startedAtUs, durationUs: null }];
}
