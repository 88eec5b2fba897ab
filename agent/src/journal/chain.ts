// SPDX-License-Identifier: Apache-2.0
/** The end of the journal's chain, where entries get their sequence and their hash and go to disk. */
import type { Statement } from 'better-sqlite3';
import type { JournalDatabase } from './database.ts';
import { chainStart, type EntryRow, entryHash, type JournalEntry, rowOf } from './entry.ts';
import type { Draft } from './unwritten.ts';

const insertSql = `INSERT INTO entries VALUES (@sequence, @at_us, @kind, @name, @answers, @boot_id, @phase, @update_id,
  @session, @peer, @parameters, @ok, @errno, @message, @duration_us, @previous_hash, @hash)`;

/** What the next entry builds on. */
type Last = Pick<JournalEntry, 'sequence' | 'hash'>;

export class Chain {
  readonly #database: JournalDatabase;
  #insert: Statement<[EntryRow]> | null = null;
  #last: Last;

  /** @throws Error if the newest entry cannot be read */
  constructor(database: JournalDatabase) {
    this.#database = database;
    const newest = database.prepare<[], Last>(
      'SELECT sequence, hash FROM entries ORDER BY sequence DESC LIMIT 1',
    );
    this.#last = newest.get() ?? { sequence: 0, hash: chainStart };
  }

  /** The sequence of the newest entry; 0 for an empty journal. */
  get lastSequence(): number {
    return this.#last.sequence;
  }

  /**
   * Writes entries in this order: all of them are on disk once this returns, or none is. The drafts then have their
   * sequences.
   *
   * @throws Error of SQLite
   */
  append(drafts: readonly Draft[]): JournalEntry[] {
    this.#insert ??= this.#database.prepare(insertSql);
    const insert = this.#insert;
    const entries: JournalEntry[] = [];
    let last = this.#last;
    try {
      this.#database.transaction(() => {
        for (const draft of drafts) {
          const entry = entryOf(draft, last);
          if (entry === null) continue;
          insert.run(rowOf(entry));
          last = entry;
          draft.sequence = entry.sequence;
          entries.push(entry);
        }
      })();
    } catch (error) {
      for (const draft of drafts) draft.sequence = null;
      throw error;
    }
    this.#last = { sequence: last.sequence, hash: last.hash };
    return entries;
  }
}

/** @returns null for the result of an act whose announcement could not be kept */
function entryOf(draft: Draft, last: Last): JournalEntry | null {
  const { mustBeWritten: _must, isTold: _told, answers, ...fields } = draft;
  if (answers !== null && answers.sequence === null) return null;
  const bare = {
    ...fields,
    answers: answers?.sequence ?? null,
    sequence: last.sequence + 1,
    previousHash: last.hash,
  };
  return { ...bare, hash: entryHash(bare) };
}
