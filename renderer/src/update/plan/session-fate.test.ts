// SPDX-License-Identifier: Apache-2.0
/** What a plan says of each session. */
import { expect, test } from 'vitest';
import { plan } from '../../../test/fake-data.ts';
import { fateOf } from './session-fate.ts';

const brief = { name: 'web-01', descriptors: 2, size: 1 };

test('an incoming session is lost', () => {
  expect(fateOf({ ...brief, direction: 'incoming' }, plan()).kept).toBe(false);
});

test('an outgoing session is kept, with the steps that keep it', () => {
  expect(fateOf({ ...brief, direction: 'outgoing' }, plan())).toEqual({
    kept: true,
    words: 'Carried over. Take digests of web-01; Retrieve web-01; Compare and finish web-01.',
  });
});
