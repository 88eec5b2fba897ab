// SPDX-License-Identifier: Apache-2.0
/** What is thrown for an act that may not be done, because it cannot be announced. */

/** The journal cannot be written. `reason` says why, in words for an operator. */
export class JournalUnwritable extends Error {
  readonly reason: string;
  readonly code: string;
  constructor(reason: string, code: string) {
    super(`the journal cannot be written: ${reason}`);
    this.name = 'JournalUnwritable';
    this.reason = reason;
    this.code = code;
  }
}
