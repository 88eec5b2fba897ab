// SPDX-License-Identifier: Apache-2.0
/** Every kind of fault at every wait of the agent while an update is planned: see `matrix.ts`. */
import { expect, it } from 'vitest';
import { runStages, tableOf } from './matrix.ts';

it('ends as it should whatever goes wrong while an update is planned', {
  timeout: 3_600_000,
}, async () => {
  const lines = await runStages(['plan']);
  expect(tableOf(lines.filter(({ verdict }) => verdict === 'differs'))).toBe('');
});
