// SPDX-License-Identifier: Apache-2.0
/**
 * What a machine's blackout is made of: each part ends where the next begins. What it waited for lies within the parts,
 * or behind them if it does not run.
 */
import type { RestartLog, RestartWait } from '../../adoption/restore.ts';
import type { SavedMachine } from '../../adoption/saved-machine.ts';
import type { InstructionTiming, PartTiming, WaitTiming } from '../../interface/agent.generated.ts';

/** When the host came to points that all machines share, µs on the clock that survives; null if that is unknown. */
export interface HostMarks {
  readonly kernelStartedAtUs: number;
  /** When the agent's work began, or the carrier's. */
  readonly agentStartedAtUs: number | null;
  readonly retrievedAtUs: number | null;
}

/** The parts of a machine's blackout, from the first machine's stop on. */
export function partsOf(
  saved: SavedMachine,
  marks: HostMarks,
  reached: ReadonlyMap<string, number>,
  firstUs: number,
): PartTiming[] {
  const points: [PartTiming['part'], number | null | undefined][] = [
    ['save', saved.savedAtUs],
    ['kexec', marks.kernelStartedAtUs],
    // Divided when the kernel's log has been read, which is done once everything runs.
    ['boot', marks.agentStartedAtUs],
    ['retrieve', marks.retrievedAtUs],
    ['start', reached.get('loading')],
    ['load', reached.get('loaded')],
    ['resume', reached.get('running')],
  ];
  const parts: PartTiming[] = [];
  let from = saved.suspendedAtUs ?? firstUs;
  for (const [part, until] of points) {
    if (until === null || until === undefined) break;
    parts.push({ part, startedAtUs: from - firstUs, durationUs: Math.max(0, until - from) });
    from = Math.max(from, until);
  }
  return parts;
}

/**
 * Divides what lies between the kernel's start and the agent's: the kernel's part ends when it starts the first
 * process.
 *
 * @param initUs when that was, µs after the kernel's start; null if its log does not tell
 */
export function withUserspace(parts: readonly PartTiming[], initUs: number | null): PartTiming[] {
  return parts.flatMap((each) => {
    if (each.part !== 'boot' || initUs === null) return [each];
    // The carrier is there within milliseconds, and the clock of the kernel's log may be ahead by as much.
    const kernelUs = Math.min(initUs, each.durationUs);
    const userspace = {
      part: 'userspace' as const,
      startedAtUs: each.startedAtUs + kernelUs,
      durationUs: each.durationUs - kernelUs,
    };
    return [{ ...each, durationUs: kernelUs }, userspace];
  });
}

/** Most that the record has of one machine: a carrier's log has its own bounds, but attempts can be many. */
const mostWaits = 100;
const mostInstructions = 200;

/** From the kernel's clock to the time since the first machine was stopped, µs. */
export interface SinceFirst {
  /** When the kernel's clocks began, on the clock that survives, µs. */
  readonly kernelStartedAtUs: number;
  readonly firstUs: number;
}

const sinceFirst = ({ kernelStartedAtUs, firstUs }: SinceFirst, ns: number): number =>
  kernelStartedAtUs + Math.floor(ns / 1000) - firstUs;

/** What the record has of a machine's way back, beside its parts. */
export interface WayBack {
  readonly waits: WaitTiming[];
  readonly failedAt: string | null;
  /** When each instruction was done: only for the end of the update, as it is long. */
  readonly instructions: InstructionTiming[];
}

/**
 * What a machine waited for and how far it came: in the order of time, and not more than anybody reads.
 *
 * @param logs of each attempt, the carrier's first
 */
export function wayBackOf(logs: readonly RestartLog[], since: SinceFirst): WayBack {
  const waits = logs.flatMap(({ waited }) => waited.map((wait) => waitOf(wait, since)));
  const instructions = logs.flatMap(({ done }) =>
    done.map(({ what, times, doneNs }) => ({ what, times, doneAtUs: sinceFirst(since, doneNs) })),
  );
  return {
    waits: waits.toSorted((one, other) => one.startedAtUs - other.startedAtUs).slice(0, mostWaits),
    failedAt: logs.at(-1)?.failedAt ?? null,
    instructions: instructions.slice(0, mostInstructions),
  };
}

function waitOf({ what, fromNs, untilNs }: RestartWait, since: SinceFirst): WaitTiming {
  const startedAtUs = sinceFirst(since, fromNs);
  return {
    what,
    startedAtUs,
    durationUs: untilNs === null ? null : Math.max(0, sinceFirst(since, untilNs) - startedAtUs),
  };
}
