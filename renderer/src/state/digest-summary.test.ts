// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { update } from '../../test/fake-data.ts';
import { digestSummary } from './digest-summary.ts';

test('digests are counted, and what is lost is named', () => {
  const { carried } = update();
  expect(digestSummary(carried)).toEqual({ compared: 8, match: 8, lost: [] });
  const [first, ...others] = carried;
  if (!first) throw new Error('something is carried');
  const summary = digestSummary([{ ...first, verdict: 'missing' }, ...others]);
  expect(summary.match).toBe(7);
  expect(summary.lost.map(({ token }) => token)).toEqual([first.token]);
});
