// SPDX-License-Identifier: Apache-2.0
/** The priority of a machine as a person types it. */
import { adoptWords } from '../words/machines.ts';

/** The highest that the agent takes. */
const highest = 100;

/** What is wrong with it; null for a good one, and for none. */
export function priorityError(text: string): string | null {
  return text === '' || (/^\d{1,3}$/.test(text) && Number(text) <= highest) ? null : adoptWords.wrongPriority;
}
