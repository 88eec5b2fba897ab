// SPDX-License-Identifier: Apache-2.0
/** A sample of whole runs, the same in each test run: see `whole-run.ts`. */
import fc from 'fast-check';
import { expect, it, vi } from 'vitest';
import { withoutPauses } from './loop-watchdog.ts';
import { anyRun, checkRun } from './whole-run.ts';

// The grace of these runs, 7 s, is over at once; nothing else waits as long.
vi.mock(import('node:timers/promises'), async (original) => {
  const real = await original();
  const short: typeof real.setTimeout = (ms, value, options) =>
    real.setTimeout(ms === 7000 ? 1 : ms, value, options);
  return { ...real, setTimeout: short };
});

it('does the steps of its plan and no others, says how each went, and loses only what it had', {
  timeout: 60_000,
}, async () => {
  expect.hasAssertions();
  await withoutPauses(() =>
    fc.assert(fc.asyncProperty(anyRun, checkRun), { seed: 20_261_129, numRuns: 60, endOnFailure: true }),
  );
});
