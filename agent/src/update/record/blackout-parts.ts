// SPDX-License-Identifier: Apache-2.0
/** What a machine's blackout is made of: each part ends where the next begins. */
import type { SavedMachine } from '../../adoption/saved-machine.ts';
import type { PartTiming } from '../../interface/agent.generated.ts';

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
