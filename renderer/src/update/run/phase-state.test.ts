// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { phaseState } from './phase-state.ts';

test('a phase is done, current, to come, or was passed unheard', () => {
  const seen = [
    { phase: 'preserving' as const, startedAtUs: 15, durationUs: 30 },
    { phase: 'kexec' as const, startedAtUs: 45, durationUs: 60 },
    { phase: 'retrieving' as const, startedAtUs: 105, durationUs: null },
  ];
  expect(phaseState(seen, 'preserving')).toBe('done');
  expect(phaseState(seen, 'booting')).toBe('unheard');
  expect(phaseState(seen, 'retrieving')).toBe('current');
  expect(phaseState(seen, 'finishing')).toBe('waiting');
  expect(phaseState([], 'preserving')).toBe('waiting');
});
