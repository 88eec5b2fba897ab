// SPDX-License-Identifier: Apache-2.0
/** The texts of terminals. */
import type { Failure } from '../bridge/failure.ts';
import { explain } from './errors.ts';

/**
 * How a terminal ended, as a sentence.
 * @param exitCode of the program behind it; null if it had none
 * @param failure what broke it; null if it ended by itself
 */
export function endWords(exitCode: number | null, failure: Failure | null): string {
  if (failure) {
    const { title, advice } = explain(failure);
    return [title, advice].filter(Boolean).join('. ');
  }
  return exitCode === null
    ? 'The terminal has ended.'
    : `The terminal has ended with exit status ${exitCode}.`;
}
