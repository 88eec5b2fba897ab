// SPDX-License-Identifier: Apache-2.0
/** The words of journal entries without a message. */
import { expect, test } from 'vitest';
import { parameterWords } from './entry-words.ts';

test.each([
  [{}, ''],
  [{ token: '0x1', size: 4096, empty: '', nothing: null, nested: { a: 1 } }, 'token 0x1 · size 4096'],
  [{ digest: 'ab'.repeat(32) }, 'digest abababababab…'],
  [{ sessions: ['a', 'b'] }, 'sessions 2'],
])('%j reads “%s”', (parameters, words) => {
  expect(parameterWords({ parameters })).toBe(words);
});

test('a long one is cut', () => {
  expect(parameterWords({ parameters: { path: 'x'.repeat(500) } }).length).toBe(121);
});
