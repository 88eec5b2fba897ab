// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { second, update } from '../../../test/fake-data.ts';
import { type AwayFacts, awayReading, usualBlackout } from './away.ts';

describe('a host that is away', () => {
  const facts: AwayFacts = {
    phase: 'kexec',
    graceEndsAtUs: 10 * second,
    awaySinceUs: 12 * second,
    awayForUs: 18 * second,
    usualUs: null,
  };

  test.each<[string, Partial<AwayFacts>, string]>([
    ['in its kexec', {}, 'expected'],
    ['while it was preserving', { phase: 'preserving', graceEndsAtUs: null }, 'early'],
    ['in its grace', { phase: 'prepared', awaySinceUs: 3 * second }, 'early'],
    ['after its grace, its last words missing', { phase: 'prepared' }, 'expected'],
    ['prepared, with no grace heard of', { phase: 'prepared', graceEndsAtUs: null }, 'expected'],
    ['while its machines were stopping', { phase: 'suspending' }, 'expected'],
    ['longer than three minutes, with nothing to compare', { awayForUs: 181 * second }, 'late'],
    [
      'longer than a minute, usually twenty seconds',
      { awayForUs: 61 * second, usualUs: 20 * second },
      'late',
    ],
    ['twice its usual time', { awayForUs: 200 * second, usualUs: 100 * second }, 'expected'],
    ['under a minute, usually a second', { awayForUs: 50 * second, usualUs: second }, 'expected'],
  ])('%s', (_, more, reading) => {
    expect(awayReading({ ...facts, ...more })).toBe(reading);
  });

  test('has as its usual blackout the middle one of those that ended well', () => {
    expect(usualBlackout([])).toBeNull();
    expect(usualBlackout([update({ outcome: 'cold_boot', blackoutUs: 1 })])).toBeNull();
    expect(usualBlackout([3, 100, 2].map((blackoutUs) => update({ blackoutUs })))).toBe(3);
  });
});
