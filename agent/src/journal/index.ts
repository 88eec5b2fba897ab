// SPDX-License-Identifier: Apache-2.0
/** The journal's face. */
export { chainStart, type EntryKind, type JournalEntry, type RecordedPeer } from './entry.ts';
export {
  type EntryFields,
  Journal,
  type JournalContext,
  JournalUnwritable,
  type ResultFields,
} from './journal.ts';
export { type JournalFilter, JournalReader } from './reader.ts';
