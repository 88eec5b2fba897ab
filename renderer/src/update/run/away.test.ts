// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from 'vitest';
import { second, update } from '../../../test/fake-data.ts';
import { awayReading, usualBlackout } from './away.ts';

describe('a host that is away', () => {
  test('is early, expected or late', () => {
    const facts = {
      phase: 'kexec' as const,
      jumpAtUs: 10 * second,
      awaySinceUs: 12 * second,
      nowUs: 30 * second,
      usualUs: null,
    };
    expect(awayReading(facts)).toBe('expected');
    expect(awayReading({ ...facts, awaySinceUs: 3 * second })).toBe('early');
    expect(awayReading({ ...facts, phase: 'prepared', awaySinceUs: 3 * second })).toBe('early');
    expect(awayReading({ ...facts, phase: 'prepared' })).toBe('expected');
    expect(awayReading({ ...facts, phase: 'preserving', jumpAtUs: null })).toBe('early');
    expect(awayReading({ ...facts, phase: 'prepared', jumpAtUs: null })).toBe('expected');
    expect(awayReading({ ...facts, nowUs: 191 * second })).toBe('late');
    expect(awayReading({ ...facts, nowUs: 75 * second, usualUs: 20 * second })).toBe('late');
    expect(awayReading({ ...facts, nowUs: 200 * second, usualUs: 100 * second })).toBe('expected');
    expect(awayReading({ ...facts, nowUs: 60 * second, usualUs: second })).toBe('expected');
  });

  test('the usual blackout is the middle one of those that ended well', () => {
    expect(usualBlackout([])).toBeNull();
    expect(usualBlackout([update({ outcome: 'cold_boot', blackoutUs: 1 })])).toBeNull();
    expect(usualBlackout([3, 100, 2].map((blackoutUs) => update({ blackoutUs })))).toBe(3);
  });
});
