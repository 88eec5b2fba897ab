// SPDX-License-Identifier: Apache-2.0
import type { PhaseTiming, Progress } from '@luo-console/agent/interface';
import { describe, expect, test } from 'vitest';
import { phases, plan, update } from '../../test/fake-data.ts';
import { digestSummary } from '../state/digest-summary.ts';
import { heard } from '../state/update-view.svelte.ts';
import { fateOf } from '../update/plan/session-fate.ts';
import { counterReading } from '../update/run/counter.ts';
import { phaseState } from '../update/run/phase-state.ts';
import { barParts, blackoutLength, blackoutSpan, wholeSpan } from './bars.ts';
import { axisTicks } from './drawing.ts';

const second = 1_000_000;

function progress(phase: Progress['phase'], atUs: number): Progress {
  return {
    update: 'u',
    phase,
    phaseStartedAtUs: atUs,
    startedAtUs: 0,
    step: null,
    message: '',
    done: null,
    total: null,
    graceEndsAtUs: null,
    mayAbort: true,
    machines: [],
  };
}

describe('what is read off a live update', () => {
  test('digests are counted, and what is lost is told', () => {
    const { carried } = update();
    expect(digestSummary(carried)).toEqual({ compared: 8, match: 8, lost: [] });
    const [first, ...others] = carried;
    if (!first) throw new Error('something is carried');
    const summary = digestSummary([{ ...first, verdict: 'missing' }, ...others]);
    expect(summary.match).toBe(7);
    expect(summary.lost.map(({ token }) => token)).toEqual([first.token]);
  });

  test('the blackout ends with the retrieving and has the length the agent tells', () => {
    const timings = phases(0);
    const retrieving = timings.find(({ phase }) => phase === 'retrieving');
    const end = (retrieving?.startedAtUs ?? 0) + (retrieving?.durationUs ?? 0);
    expect(blackoutSpan({ phases: timings, blackoutUs: 13 * second, machines: [] })).toEqual({
      startUs: end - 13 * second,
      endUs: end,
    });
    expect(blackoutSpan({ phases: timings, blackoutUs: null, machines: [] })).toBeNull();
    expect(wholeSpan(timings)).toEqual({ startUs: 0, endUs: 18_960_000 });
    expect(wholeSpan([])).toBeNull();
  });

  test('phases end when later ones begin, in this machine’s time; what comes late is not heard', () => {
    let seen = heard([], progress('preserving', 10), 5);
    seen = heard(seen, progress('preserving', 10), 5);
    seen = heard(seen, progress('kexec', 40), 5);
    seen = heard(seen, progress('prepared', 20), 5);
    seen = heard(seen, progress('retrieving', 100), 5);
    expect(seen).toEqual([
      { phase: 'preserving', startedAtUs: 15, durationUs: 30 },
      { phase: 'kexec', startedAtUs: 45, durationUs: 60 },
      { phase: 'retrieving', startedAtUs: 105, durationUs: null },
    ]);
    expect(phaseState(seen, 'preserving')).toBe('done');
    expect(phaseState(seen, 'booting')).toBe('unheard');
    expect(phaseState(seen, 'retrieving')).toBe('current');
    expect(phaseState(seen, 'finishing')).toBe('waiting');
  });

  test('the counter shows the blackout once the grace is over, and stops with it', () => {
    expect(counterReading([], null, 99)).toEqual({ label: 'Elapsed', us: 0 });
    const before = heard([], progress('preserving', 10), 0);
    expect(counterReading(before, null, 30)).toEqual({ label: 'Elapsed', us: 20 });
    const away = heard(before, progress('kexec', 40), 0);
    expect(counterReading(away, 60, 50)).toEqual({ label: 'Elapsed', us: 40 });
    expect(counterReading(away, 60, 90)).toEqual({ label: 'Blackout', us: 30 });
    const over = heard(away, progress('resuming', 120), 0);
    expect(counterReading(over, 60, 500)).toEqual({ label: 'Blackout', us: 60 });
  });

  test('an incoming session is lost, an outgoing one is kept', () => {
    const brief = { name: 'web-01', descriptors: 2, size: 1 };
    expect(fateOf({ ...brief, direction: 'incoming' }, plan()).kept).toBe(false);
    expect(fateOf({ ...brief, direction: 'outgoing' }, plan())).toEqual({
      kept: true,
      words: 'Comes through the kexec. Keep web-01.',
    });
  });

  test('the grace is told apart from the time away in the bar of the kexec', () => {
    const timings: PhaseTiming[] = [
      { phase: 'prepared', startedAtUs: 0, durationUs: 6 * second },
      { phase: 'kexec', startedAtUs: 6 * second, durationUs: 10 * second },
      { phase: 'booting', startedAtUs: 16 * second, durationUs: 20 * second },
      { phase: 'retrieving', startedAtUs: 36 * second, durationUs: 2 * second },
    ];
    const kinds = (at: number, startUs: number | null) =>
      barParts(
        timings[at] as PhaseTiming,
        false,
        startUs === null ? null : { startUs, endUs: 38 * second },
      ).map(({ kind, startUs: from, endUs }) => [kind, from / second, endUs / second]);
    expect(kinds(0, 14 * second)).toEqual([['before', 0, 6]]);
    expect(kinds(1, 14 * second)).toEqual([
      ['grace', 6, 14],
      ['away', 14, 16],
    ]);
    expect(kinds(1, 16.1 * second)).toEqual([['grace', 6, 16]]);
    expect(kinds(1, 6 * second)).toEqual([['away', 6, 16]]);
    expect(kinds(1, null)).toEqual([['away', 6, 16]]);
    expect(kinds(2, 14 * second)).toEqual([['away', 16, 36]]);
    expect(kinds(3, 14 * second)).toEqual([['after', 36, 38]]);
    const [, kexec] = timings;
    if (!kexec) throw new Error('there is a kexec');
    expect(barParts(kexec, true, null).map(({ kind }) => kind)).toEqual(['grace']);
  });

  test('a blackout that nobody measured is not called none', () => {
    expect(blackoutLength({ outcome: 'updated', blackoutUs: 20_700_000 })).toBe('20.7 s');
    expect(blackoutLength({ outcome: 'aborted', blackoutUs: null })).toBe('none');
    expect(blackoutLength({ outcome: 'returned', blackoutUs: null })).toBe('none');
    expect(blackoutLength({ outcome: 'cold_boot', blackoutUs: null })).toBe('not measured');
    expect(blackoutLength({ outcome: 'unknown', blackoutUs: null })).toBe('not measured');
  });

  test('the axis has round divisions', () => {
    expect(axisTicks(19 * second, 5)).toEqual([0, 5, 10, 15].map((at) => at * second));
    expect(axisTicks(0, 5)).toEqual([0]);
  });
});
