// SPDX-License-Identifier: Apache-2.0
/** The bars of an update's timeline: where its phases and its blackout lie, and how long the blackout was. */
import type { PhaseTiming, Update } from '@luo-console/agent/interface';
import { duration } from '../format/quantity.ts';
import { firstSuspended } from '../state/machine-runs.ts';
import { updatePhases } from '../words/phases.ts';
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

/** A stretch of a phase's bar: `grace` is the part of the kexec in which it was announced and the host still there. */
export interface BarPart extends Span {
  kind: 'before' | 'grace' | 'away' | 'after';
}

/** Below this share of the phase a rest is not worth a part of its own. */
const leastShare = 0.02;

/**
 * Of what a phase's bar is made. The phase `kexec` begins with its announcement, so the host is still there until the
 * grace is over and the blackout begins.
 * @param stayed whether the host is known not to have gone away at all
 */
export function barParts(timing: PhaseTiming, stayed: boolean, blackout: Span | null): BarPart[] {
  const { phase, startedAtUs: startUs } = timing;
  const endUs = endOf(timing);
  if (phase === 'booting') return [{ kind: 'away', startUs, endUs }];
  if (phase !== 'kexec') {
    const before = updatePhases.indexOf(phase) < updatePhases.indexOf('kexec');
    return [{ kind: before ? 'before' : 'after', startUs, endUs }];
  }
  if (stayed) return [{ kind: 'grace', startUs, endUs }];
  if (!blackout) return [{ kind: 'away', startUs, endUs }];
  const least = (endUs - startUs) * leastShare;
  const jumpUs = Math.min(endUs, Math.max(startUs, blackout.startUs));
  if (jumpUs - startUs <= least) return [{ kind: 'away', startUs, endUs }];
  if (endUs - jumpUs <= least) return [{ kind: 'grace', startUs, endUs }];
  return [
    { kind: 'grace', startUs, endUs: jumpUs },
    { kind: 'away', startUs: jumpUs, endUs },
  ];
}

/** The length of a blackout in words. Where the host did go away and nobody measured it, `none` would be wrong. */
export function blackoutLength({ outcome, blackoutUs }: Pick<Update, 'outcome' | 'blackoutUs'>): string {
  if (blackoutUs !== null) return duration(blackoutUs);
  return outcome === 'cold_boot' || outcome === 'unknown' ? 'not measured' : 'none';
}
