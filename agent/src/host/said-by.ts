// SPDX-License-Identifier: Apache-2.0
/** What something thrown says, for a log line, a journal entry or an answer. */

/** The message of an error; anything else that was thrown as text. */
export function saidBy(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
