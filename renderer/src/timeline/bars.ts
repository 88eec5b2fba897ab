// SPDX-License-Identifier: Apache-2.0
// What is to be read off a live update: how the digests compare, what was lost, where the blackout lies among the
// phases, and what the counter shows while it runs.
import type {
  Carried,
  MachineRun,
  Phase,
  PhaseTiming,
  Plan,
  SessionBrief,
  Update,
} from '@luo-console/agent/interface';
import { duration } from '../format/quantity.ts';
import { firstSuspended, machinesBlackout } from '../state/machine-runs.ts';
import { updatePhases } from '../words/states.ts';
import type { Span } from './span.ts';

export interface DigestSummary {
  /** Descriptors with a digest from before the kexec. */
  compared: number;
  match: number;
  lost: Carried[];
}

/** Compares the digests of what was carried. */
export function digestSummary(carried: readonly Carried[]): DigestSummary {
  return {
    compared: carried.filter(({ digestBefore }) => digestBefore !== null).length,
    match: carried.filter(({ verdict }) => verdict === 'match').length,
    lost: carried.filter(({ verdict }) => verdict === 'differs' || verdict === 'missing'),
  };
}

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

export interface CounterReading {
  /** `Blackout` once a machine is suspended or the kexec is set off, `Elapsed` before. */
  label: 'Elapsed' | 'Blackout';
  us: number;
}

/**
 * What the big counter shows. All times on this machine's clock.
 * @param jumpAtUs when the kexec is set off, the grace being over; null if that is not known yet
 * @param machines those of the live update
 */
export function counterReading(
  seen: readonly PhaseTiming[],
  jumpAtUs: number | null,
  nowUs: number,
  machines: readonly MachineRun[] = [],
): CounterReading {
  const ofMachines = machinesBlackout(machines);
  if (ofMachines) {
    return { label: 'Blackout', us: Math.max(0, (ofMachines.endUs ?? nowUs) - ofMachines.startUs) };
  }
  const first = seen[0];
  if (jumpAtUs === null || nowUs < jumpAtUs) {
    return { label: 'Elapsed', us: first ? Math.max(0, nowUs - first.startedAtUs) : 0 };
  }
  const over = seen.find(({ phase }) => phase === 'resuming' || phase === 'finishing');
  return { label: 'Blackout', us: Math.max(0, (over ? over.startedAtUs : nowUs) - jumpAtUs) };
}

export type PhaseState = 'done' | 'current' | 'waiting' | 'unheard';

/** How a phase stands: `unheard` lies before the current one but was not heard of, as happens while the host is away. */
export function phaseState(seen: readonly PhaseTiming[], phase: Phase): PhaseState {
  const current = seen.at(-1)?.phase;
  if (phase === current) return 'current';
  if (seen.some((timing) => timing.phase === phase)) return 'done';
  const before = current !== undefined && updatePhases.indexOf(phase) < updatePhases.indexOf(current);
  return before ? 'unheard' : 'waiting';
}

/** What a plan does to a session, in plain words. */
export function fateOf(session: SessionBrief, plan: Plan): { kept: boolean; words: string } {
  const steps = plan.steps.filter((step) => step.session === session.name);
  if (session.direction === 'incoming') {
    return {
      kept: false,
      words: 'Incoming and not finished: finish it first, or it is gone after the kexec.',
    };
  }
  if (session.descriptors === 0) return { kept: true, words: 'Empty; it comes through the kexec as it is.' };
  const titles = steps.map(({ title }) => title).join('; ');
  return { kept: true, words: titles ? `Comes through the kexec. ${titles}.` : 'Comes through the kexec.' };
}

/** The ends of the axis's divisions between 0 and `span` µs: about `wanted` of them, at round figures. */
export function axisTicks(span: number, wanted: number): number[] {
  const rough = span / Math.max(1, wanted);
  const magnitude = 10 ** Math.floor(Math.log10(Math.max(1, rough)));
  const stepUs =
    [1, 2, 5, 10].map((factor) => factor * magnitude).find((candidate) => candidate >= rough) ?? rough;
  return Array.from({ length: Math.floor(span / stepUs) + 1 }, (_, at) => at * stepUs);
}
