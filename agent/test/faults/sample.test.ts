// SPDX-License-Identifier: Apache-2.0
/** One of each kind of fault at each stage of adopting, leaving and arriving: see `matrix.ts`. */
import { expect, it } from 'vitest';
import { findCases, missing, runAll, sampleOf, tableOf } from './matrix.ts';
import { watch } from './watching.ts';

it('finds waits of the agent at every stage, and each ends as it should where something goes wrong', {
  timeout: 300_000,
}, async () => {
  const watching = watch();
  const cases = await findCases(watching);
  expect(missing(cases)).toEqual([]);
  const lines = await runAll(watching, sampleOf(cases));
  expect(tableOf(lines.filter(({ verdict }) => verdict === 'differs'))).toBe('');
});
