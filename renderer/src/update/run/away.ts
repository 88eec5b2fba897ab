// SPDX-License-Identifier: Apache-2.0
// How to take it that a host is away in a live update. It is away in every one of them, so that alone is no news; that it
// went too early, or stays away too long, is what a person has to be told, and what they can do then.
import type { Phase, Update } from '@luo-console/agent/interface';

/**
 * How to take it that the host is away: `early` if it went before it was to, `late` if it takes much longer than usual,
 * otherwise `expected`.
 */
export type AwayReading = 'early' | 'expected' | 'late';

export interface AwayFacts {
  /** The last phase heard of. */
  phase: Phase | null;
  /** When the kexec is set off; null if that is not known. As all times here on this machine's clock, in µs. */
  jumpAtUs: number | null;
  awaySinceUs: number;
  nowUs: number;
  /** The host's usual blackout in µs; null if there was none yet. */
  usualUs: number | null;
}

const lateUs = 180_000_000;
const soonestLateUs = 60_000_000;
/** What two clocks may be apart by without it meaning anything. */
const clockSlackUs = 1_000_000;

/** Microseconds away after which that is called long: three times the usual, never under a minute; else three minutes. */
export function patienceUs(usualUs: number | null): number {
  return usualUs === null ? lateUs : Math.max(soonestLateUs, 3 * usualUs);
}

/** Reads the facts. */
export function awayReading({ phase, jumpAtUs, awaySinceUs, nowUs, usualUs }: AwayFacts): AwayReading {
  const beforeJump = jumpAtUs !== null && awaySinceUs < jumpAtUs - clockSlackUs;
  if (beforeJump || phase === 'normal' || phase === 'preserving') return 'early';
  return nowUs - (jumpAtUs ?? awaySinceUs) > patienceUs(usualUs) ? 'late' : 'expected';
}

/** The middle one of a host's blackouts so far, in µs; null if there was none. */
export function usualBlackout(updates: readonly Update[]): number | null {
  const lengths = updates
    .flatMap(({ outcome, blackoutUs }) => (outcome === 'updated' && blackoutUs !== null ? [blackoutUs] : []))
    .sort((one, other) => one - other);
  return lengths[Math.floor(lengths.length / 2)] ?? null;
}
