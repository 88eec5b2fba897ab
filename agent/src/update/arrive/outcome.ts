// SPDX-License-Identifier: Apache-2.0
/**
 * How did it end? The agent that finds an update without an end decides. It looks at whether this is another boot,
 * whether the index session came through, and what the kernel says of the handover. An ending that fits none of the
 * known ones is *unknown*, with the reason. It is never guessed to be good.
 */
import type { Outcome, Update } from '../../interface/agent.generated.ts';

/** What the agent finds when it starts. */
export interface Evidence {
  readonly bootId: string;
  /** The live update number of this boot; null if the kernel does not tell. */
  readonly number: number | null;
  /** Whether the kernel log says that handover data was found; null if the log may not be read. */
  readonly handoverFound: boolean | null;
  /** Kernel log lines that say the handover could not be used. */
  readonly handoverRefused: readonly string[];
  /** Whether there is a live update device now, and if not, why. */
  readonly available: boolean;
  readonly explanation: string;
  /** Whether the index session of this update came through. */
  readonly indexArrived: boolean;
  /** What was wrong with the index, if it came through unreadable. */
  readonly indexProblem: string | null;
  /** Sessions that the index names and that did not come through, each with the reason. */
  readonly sessionsAbsent: readonly string[];
}

export interface Decision {
  readonly outcome: Outcome;
  readonly reason: string;
}

/**
 * Decides the outcome of an update that nobody has settled.
 *
 * @param written what the journal has of it: that its kexec was announced, and that an agent found it in the next kernel
 */
export function decideOutcome(
  record: Update,
  { announced, arrived }: { readonly announced: boolean; readonly arrived: boolean },
  evidence: Evidence,
): Decision {
  if (evidence.bootId === record.fromBootId) return sameBoot(announced);
  if (evidence.indexArrived) return withIndex(record, evidence);
  if (evidence.handoverRefused.length > 0) {
    const reason = `the next kernel could not use the handover, so what was preserved is out of reach: "${evidence.handoverRefused.join('", "')}"`;
    return { outcome: 'unknown', reason };
  }
  const cold = evidence.number === 0 || (evidence.number === null && evidence.handoverFound === false);
  const withoutHandover = cold || (evidence.handoverFound === false && !evidence.available);
  if (arrived && withoutHandover) {
    const reason =
      'the update had arrived in the next kernel, and the host started again without a handover before it was settled';
    return { outcome: 'unknown', reason };
  }
  if (cold) {
    const before = announced
      ? 'between the announcement and the end of the kexec'
      : 'before the kexec was announced';
    return { outcome: 'cold_boot', reason: `the host started again without a handover, ${before}` };
  }
  if (withoutHandover) {
    return {
      outcome: 'cold_boot',
      reason: `the host started again without live update: ${evidence.explanation}`,
    };
  }
  if (evidence.indexProblem !== null) {
    return {
      outcome: 'unknown',
      reason: `the index session came through but cannot be read: ${evidence.indexProblem}`,
    };
  }
  if (!evidence.available) {
    return { outcome: 'unknown', reason: `another boot, and no live update to ask: ${evidence.explanation}` };
  }
  const found =
    evidence.number === null
      ? 'its live update number is not known'
      : `its live update number is ${evidence.number}`;
  return { outcome: 'unknown', reason: `another boot without the index session of this update; ${found}` };
}

function sameBoot(announced: boolean): Decision {
  const when = announced
    ? 'after announcing the kexec and before it happened'
    : 'before the kexec was announced';
  return { outcome: 'aborted', reason: `the agent stopped ${when}; the host is still in the same boot` };
}

function withIndex(record: Update, { number, sessionsAbsent }: Evidence): Decision {
  if (sessionsAbsent.length > 0) {
    const reason = `the index session came through, but these sessions did not: ${sessionsAbsent.join(', ')}`;
    return { outcome: 'unknown', reason };
  }
  if (number === null) {
    return {
      outcome: 'updated',
      reason: 'the index session came through; the live update number could not be read',
    };
  }
  if (number !== record.numberBefore + 1) {
    const reason = `the index session came through, but the live update number went from ${record.numberBefore} to ${number}`;
    return { outcome: 'unknown', reason };
  }
  return { outcome: 'updated', reason: `live update number ${number}, one more than before` };
}
