// SPDX-License-Identifier: Apache-2.0
/** Every kind of fault at every wait of the agent while machines are stopped, and on the way back: see `matrix.ts`. */
import { expect, it } from 'vitest';
import { runStages, tableOf } from './matrix.ts';

it('ends as it should whatever goes wrong while machines are stopped, and on the way back', {
  timeout: 3_600_000,
}, async () => {
  const lines = await runStages(['save', 'kexec', 'undo']);
  expect(tableOf(lines.filter(({ verdict }) => verdict === 'differs'))).toBe('');
});
