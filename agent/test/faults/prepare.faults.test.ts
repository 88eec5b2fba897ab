// SPDX-License-Identifier: Apache-2.0
/** Every kind of fault at every wait of the agent while an update is prepared: see `matrix.ts`. */
import { expect, it } from 'vitest';
import { runStages, tableOf } from './matrix.ts';

it('ends as it should whatever goes wrong while an update is prepared', {
  timeout: 3_600_000,
}, async () => {
  const lines = await runStages(['prepare']);
  expect(tableOf(lines.filter(({ verdict }) => verdict === 'differs'))).toBe('');
});
