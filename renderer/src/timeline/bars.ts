// SPDX-License-Identifier: Apache-2.0
/** The bars of an update's timeline: where its phases and its blackout lie, and how long the blackout was. */
import type { PhaseTiming, Update } from '@luo-console/agent/interface';
import { duration } from '../format/quantity.ts';
import { firstSuspended } from '../state/machine-runs.ts';
import { isLater } from '../words/phases.ts';
import type { Span } from './span.ts';

function endOf({ startedAtUs, durationUs }: PhaseTiming): number {
  return startedAtUs + (durationUs ?? 0);
}

/** From the first phase to the end of the last, or null if there were none. */
export function wholeSpan(phases: readonly PhaseTiming[]): Span | null {
  const first = phases[0];
  if (!first) return null;
  return { startUs: first.startedAtUs, endUs: Math.max(...phases.map(endOf)) };
}

/**
 * Where the blackout lies. The agent tells its length; it begins with the first suspended machine, and with no machine
 * it ends when the sessions are retrieved.
 */
export function blackoutSpan({
  phases,
  blackoutUs,
  machines,
}: Pick<Update, 'phases' | 'blackoutUs' | 'machines'>): Span | null {
  if (blackoutUs === null) return null;
  const startUs = firstSuspended(machines);
  if (startUs !== null) return { startUs, endUs: startUs + blackoutUs };
  const last = phases.find(({ phase }) => phase === 'retrieving');
  if (!last) return null;
  const endUs = endOf(last);
  return { startUs: endUs - blackoutUs, endUs };
}

/**
 * A stretch of a phase's bar. `grace`: announced, and waiting for an abort. `away`: the host is on its way from one kernel
 * to the other. `refused`: the kernel was asked to go, and did not.
 */
export interface BarPart extends Span {
  kind: 'before' | 'grace' | 'away' | 'refused' | 'after';
}

/** What the bars of an update depend on besides its phases. */
export type BarFacts = Pick<Update, 'announcedAtUs' | 'graceEndsAtUs' | 'outcome'>;

/** A stretch shorter than this share of its phase is left to the one before it. */
const leastShare = 0.02;

/** The stretches of a phase's bar. The grace is a part of *prepared*, where the update is announced. */
export function barParts(timing: PhaseTiming, facts: BarFacts): BarPart[] {
  const { phase, startedAtUs: startUs } = timing;
  const endUs = endOf(timing);
  if (phase === 'booting') return [{ kind: 'away', startUs, endUs }];
  if (phase === 'kexec') return [{ kind: kexecKind(facts), startUs, endUs }];
  if (phase === 'prepared') return withGrace({ startUs, endUs }, facts);
  return [{ kind: isLater(phase, 'kexec') ? 'after' : 'before', startUs, endUs }];
}

function kexecKind({ outcome }: BarFacts): BarPart['kind'] {
  if (outcome === 'returned') return 'refused';
  // It was aborted before the reboot call.
  return outcome === 'aborted' ? 'before' : 'away';
}

function withGrace({ startUs, endUs }: Span, { announcedAtUs, graceEndsAtUs }: BarFacts): BarPart[] {
  const whole: BarPart[] = [{ kind: 'before', startUs, endUs }];
  if (announcedAtUs === null || graceEndsAtUs === null) return whole;
  const within = (us: number) => Math.min(endUs, Math.max(startUs, us));
  const least = (endUs - startUs) * leastShare;
  const fromUs = within(announcedAtUs) - startUs <= least ? startUs : within(announcedAtUs);
  const toUs = endUs - within(graceEndsAtUs) <= least ? endUs : within(graceEndsAtUs);
  if (toUs - fromUs <= least) return whole;
  const parts: BarPart[] = [
    { kind: 'before', startUs, endUs: fromUs },
    { kind: 'grace', startUs: fromUs, endUs: toUs },
    { kind: 'before', startUs: toUs, endUs },
  ];
  return parts.filter((part) => part.endUs > part.startUs);
}

/** The length of a blackout in words. Where the host did go away and nobody measured it, `none` would be wrong. */
export function blackoutLength({ outcome, blackoutUs }: Pick<Update, 'outcome' | 'blackoutUs'>): string {
  if (blackoutUs !== null) return duration(blackoutUs);
  return outcome === 'cold_boot' || outcome === 'unknown' ? 'not measured' : 'none';
}
