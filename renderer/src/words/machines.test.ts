// SPDX-License-Identifier: Apache-2.0
/** The words for parts of a blackout, held against the interface. */
import { BlackoutPart } from '@luo-console/agent/interface';
import { expect, test } from 'vitest';
import { blackoutParts } from './machines.ts';

test('the parts of a blackout are those of the interface, in its order', () => {
  expect(blackoutParts).toEqual([...BlackoutPart.options]);
});
