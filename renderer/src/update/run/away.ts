// SPDX-License-Identifier: Apache-2.0
/**
 * What a host's absence means while an update runs. The host goes away in every update, so that alone is no news. A person
 * needs to know when it left too early, or stays away too long, and what to do then.
 */
import type { Phase, Update } from '@luo-console/agent/interface';

/** `early`: it went before its kernel was to be replaced. `late`: it has been away much longer than usual. */
export type AwayReading = 'early' | 'expected' | 'late';

/** All times on this machine's clock, in µs since the epoch. */
export interface AwayFacts {
  /** The last phase heard of; null if none was. */
  phase: Phase | null;
  /** When the grace ends or has ended; null if none was heard of. */
  graceEndsAtUs: number | null;
  /** When the connection broke. */
  awaySinceUs: number;
  /** For how long the host has been away, in µs. */
  awayForUs: number;
  /** The host's usual blackout in µs; null if there was none yet. */
  usualUs: number | null;
}

const lateUs = 180_000_000;
const soonestLateUs = 60_000_000;
/** Two clocks may differ by this much without it meaning anything. */
const clockSlackUs = 1_000_000;

/** After how many µs away a host is called late: three times the usual, never under a minute; else three minutes. */
function patienceUs(usualUs: number | null): number {
  return usualUs === null ? lateUs : Math.max(soonestLateUs, 3 * usualUs);
}

/** Reads the facts. The last word may be missing: a host that was heard of in `prepared` may have gone on to its kexec. */
export function awayReading({
  phase,
  graceEndsAtUs,
  awaySinceUs,
  awayForUs,
  usualUs,
}: AwayFacts): AwayReading {
  if (phase === 'normal' || phase === 'preserving') return 'early';
  const inGrace = graceEndsAtUs !== null && awaySinceUs < graceEndsAtUs - clockSlackUs;
  if (phase === 'prepared' && inGrace) return 'early';
  return awayForUs > patienceUs(usualUs) ? 'late' : 'expected';
}

/** The middle one of a host's blackouts so far, in µs; null if there was none. */
export function usualBlackout(updates: readonly Update[]): number | null {
  const lengths = updates
    .flatMap(({ outcome, blackoutUs }) => (outcome === 'updated' && blackoutUs !== null ? [blackoutUs] : []))
    .sort((one, other) => one - other);
  return lengths[Math.floor(lengths.length / 2)] ?? null;
}
