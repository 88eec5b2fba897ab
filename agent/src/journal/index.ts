// SPDX-License-Identifier: Apache-2.0
/** The journal's face. */
export type { JournalEntry, RecordedPeer } from './entry.ts';
export { codeOf } from './errno.ts';
export {
  type EntryFields,
  Journal,
  type JournalContext,
} from './journal.ts';
export { JournalReader } from './reader.ts';
export { JournalUnreadable, unlessUnreadable } from './unreadable.ts';
export { JournalUnwritable } from './unwritable.ts';
export type { Announced } from './unwritten.ts';
