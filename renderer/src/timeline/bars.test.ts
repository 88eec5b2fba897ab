// SPDX-License-Identifier: Apache-2.0
/** The bars of a recorded update: where its grace, its absence and a refusal lie. */
import type { Phase, Update } from '@luo-console/agent/interface';
import { describe, expect, test } from 'vitest';
import { phases, second } from '../../test/fake-data.ts';
import { recordedRefusal, recordedUpdate } from '../../test/recorded.ts';
import { barParts, blackoutLength, blackoutSpan, wholeSpan } from './bars.ts';
import { phaseLength } from './phase-words.ts';

const { ended } = recordedUpdate();

function timing(phase: Phase, update: Update = ended) {
  const found = update.phases.find((one) => one.phase === phase);
  if (!found) throw new Error(`the recording has a phase ${phase}`);
  return found;
}

const kindsOf = (phase: Phase, update: Update = ended) =>
  barParts(timing(phase, update), update).map(({ kind }) => kind);

describe('the bars of a recorded update', () => {
  test('show the grace in *prepared*, where the agent announces, and nowhere else', () => {
    expect(kindsOf('prepared')).toContain('grace');
    for (const { phase } of ended.phases) {
      if (phase !== 'prepared') expect(kindsOf(phase), phase).not.toContain('grace');
    }
    const grace = barParts(timing('prepared'), ended).find(({ kind }) => kind === 'grace');
    const length = (grace?.endUs ?? 0) - (grace?.startUs ?? 0);
    const granted = (ended.graceEndsAtUs ?? 0) - (ended.announcedAtUs ?? 0);
    // A stretch of a fiftieth at either end is left to the grace.
    expect(Math.abs(length - granted)).toBeLessThanOrEqual(0.04 * (timing('prepared').durationUs ?? 0));
    expect(phaseLength(timing('prepared'), ended)).toMatch(/grace$/);
  });

  test('show the host away from the kexec until its kernel has booted', () => {
    expect(kindsOf('suspending')).toEqual(['before']);
    expect(kindsOf('kexec')).toEqual(['away']);
    expect(kindsOf('booting')).toEqual(['away']);
    expect(kindsOf('retrieving')).toEqual(['after']);
    expect(phaseLength(timing('kexec'), ended)).not.toMatch(/grace|refused/);
  });

  test('show a kexec that the kernel refused as refused, not as grace', () => {
    const { ended: returned } = recordedRefusal();
    expect(kindsOf('kexec', returned)).toEqual(['refused']);
    expect(kindsOf('prepared', returned)).toContain('grace');
    expect(phaseLength(timing('kexec', returned), returned)).toMatch(/, refused by the kernel$/);
  });

  test('show a kexec that was aborted before the reboot call as nothing special', () => {
    expect(kindsOf('kexec', { ...ended, outcome: 'aborted' })).toEqual(['before']);
  });

  test('have no grace in the record of an agent that did not keep it', () => {
    const older = { ...ended, announcedAtUs: null, graceEndsAtUs: null };
    expect(kindsOf('prepared', older)).toEqual(['before']);
  });
});

describe('the grace in its bar', () => {
  const prepared = { phase: 'prepared' as const, startedAtUs: 100 * second, durationUs: 10 * second };
  const parts = (announced: number | null, graceEnds: number | null) =>
    barParts(prepared, {
      outcome: 'updated',
      announcedAtUs: announced === null ? null : (100 + announced) * second,
      graceEndsAtUs: graceEnds === null ? null : (100 + graceEnds) * second,
    }).map(({ kind, startUs, endUs }) => [kind, startUs / second - 100, endUs / second - 100]);

  test.each([
    [
      'in the middle',
      3,
      8,
      [
        ['before', 0, 3],
        ['grace', 3, 8],
        ['before', 8, 10],
      ],
    ],
    [
      'until the end',
      3,
      9.9,
      [
        ['before', 0, 3],
        ['grace', 3, 10],
      ],
    ],
    ['all of it', 0.1, 9.9, [['grace', 0, 10]]],
    ['none of it: the update did not wait', 5, 5, [['before', 0, 10]]],
    [
      'cut off by an abort',
      3,
      600,
      [
        ['before', 0, 3],
        ['grace', 3, 10],
      ],
    ],
    ['never announced', null, null, [['before', 0, 10]]],
  ] as const)('%s', (_, announced, graceEnds, expected) => {
    expect(parts(announced, graceEnds)).toEqual(expected);
  });
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
  expect(wholeSpan(timings)).toEqual({ startUs: 0, endUs: 23_960_000 });
  expect(wholeSpan([])).toBeNull();
});

test('a blackout that nobody measured is not called none', () => {
  expect(blackoutLength({ outcome: 'updated', blackoutUs: 20_700_000 })).toBe('20.7 s');
  expect(blackoutLength({ outcome: 'aborted', blackoutUs: null })).toBe('none');
  expect(blackoutLength({ outcome: 'returned', blackoutUs: null })).toBe('none');
  expect(blackoutLength({ outcome: 'cold_boot', blackoutUs: null })).toBe('not measured');
  expect(blackoutLength({ outcome: 'unknown', blackoutUs: null })).toBe('not measured');
});
