// SPDX-License-Identifier: Apache-2.0
/** Limits are said in the interface's comments and checked by the code: the two must be the same. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { longestGraceSeconds, mostRenewalSeconds, usualRenewalSeconds } from './limits.ts';

const text = readFileSync(join(import.meta.dirname, '../../io.luoconsole.Agent.varlink'), 'utf8').replace(
  /\n# /g,
  ' ',
);

it('the limit of a renewal is the one that the interface says', () => {
  expect(text).toContain(`1 to ${mostRenewalSeconds}, ${usualRenewalSeconds} if it is not given`);
});

it('the longest grace is the one that the interface says', () => {
  expect(text).toContain(`waits for an abort: 0 to ${longestGraceSeconds}, and 0 if none is given.`);
});
