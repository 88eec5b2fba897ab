// SPDX-License-Identifier: Apache-2.0
/**
 * Reading the journal: pages of entries by filter, following, export as JSON Lines, and checking the chain.
 * Whatever walks the whole journal goes in batches and lets the event loop breathe between them.
 */
import { setImmediate } from 'node:timers/promises';
import { type JournalFilter, journalConditions } from '../client/journal-filter.ts';
import { chainStart, type EntryRow, entryFromRow, entryHash, type JournalEntry } from './entry.ts';
import type { Journal } from './journal.ts';

const batch = 500;
/** Sequences looked at in one go. */
const stretch = 4096;

export class JournalReader {
  readonly #journal: Journal;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  /** A page of entries, newest first unless `ascending`. `more` says whether the filter matches further ones. */
  query(
    filter: JournalFilter,
    limit: number,
    ascending: boolean,
  ): { entries: JournalEntry[]; more: boolean } {
    const { conditions, values } = journalConditions(filter);
    const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
    const rows = this.#rows(`${where} ORDER BY sequence ${ascending ? 'ASC' : 'DESC'} LIMIT ?`, [
      ...values,
      limit + 1,
    ]);
    return { entries: rows.slice(0, limit).map(entryFromRow), more: rows.length > limit };
  }

  /**
   * As `query`, for filters of any kind and a journal of any length: it is looked through in stretches, and the
   * event loop breathes between them. Ends early, with what was found, once nobody waits for it.
   */
  async search(
    filter: JournalFilter,
    limit: number,
    ascending: boolean,
    signal: AbortSignal,
  ): Promise<{ entries: JournalEntry[]; more: boolean }> {
    const first = Math.max(1, (filter.after ?? 0) + 1);
    const last = Math.min(this.#journal.lastSequence, (filter.before ?? Number.MAX_SAFE_INTEGER) - 1);
    const found: JournalEntry[] = [];
    for (let done = 0; first + done <= last && found.length <= limit; done += stretch) {
      if (done > 0) await setImmediate();
      if (signal.aborted) break;
      const after = ascending ? first - 1 + done : Math.max(first - 1, last - done - stretch);
      const before = ascending ? Math.min(last + 1, first + done + stretch) : last - done + 1;
      found.push(...this.query({ ...filter, after, before }, limit + 1 - found.length, ascending).entries);
    }
    return { entries: found.slice(0, limit), more: found.length > limit };
  }

  /** The newest entry that matches, or null. */
  newest(filter: JournalFilter): JournalEntry | null {
    return this.query(filter, 1, false).entries[0] ?? null;
  }

  /** Every entry between two sequences (exclusive), oldest first, in batches. */
  async *walk(filter: JournalFilter = {}): AsyncGenerator<JournalEntry[]> {
    let after = filter.after ?? 0;
    for (;;) {
      const { entries } = this.query({ ...filter, after }, batch, true);
      const last = entries.at(-1);
      if (last === undefined) return;
      yield entries;
      after = last.sequence;
      await setImmediate();
    }
  }

  /** Entries after a sequence, oldest first, then each new one as it is written, until `signal` fires. */
  async *follow(after: number, signal: AbortSignal): AsyncGenerator<JournalEntry[]> {
    let position = after;
    let wake = (): void => {};
    const onEvent = (): void => wake();
    this.#journal.events.on('entry', onEvent);
    signal.addEventListener('abort', onEvent);
    try {
      while (!signal.aborted) {
        const { entries } = this.query({ after: position }, batch, true);
        const last = entries.at(-1);
        if (last !== undefined) {
          yield entries;
          position = last.sequence;
        } else {
          await new Promise<void>((resolve) => {
            wake = resolve;
            if (signal.aborted || this.#journal.lastSequence > position) resolve();
          });
        }
      }
    } finally {
      this.#journal.events.off('entry', onEvent);
      signal.removeEventListener('abort', onEvent);
    }
  }

  /** Recomputes every hash. `firstBad` is the first entry that does not fit the chain, or null. */
  async verify(): Promise<{ entries: number; firstBad: number | null }> {
    let previousHash = chainStart;
    let expected = 1;
    let entries = 0;
    let after = 0;
    for (;;) {
      const rows = this.#rows('WHERE sequence > ? ORDER BY sequence ASC LIMIT ?', [after, batch]);
      for (const row of rows) {
        if (row.sequence !== expected || row.previous_hash !== previousHash || !rowFits(row)) {
          return { entries, firstBad: row.sequence };
        }
        previousHash = row.hash;
        expected += 1;
        entries += 1;
        after = row.sequence;
      }
      if (rows.length < batch) return { entries, firstBad: null };
      await setImmediate();
    }
  }

  #rows(tail: string, values: (string | number)[]): EntryRow[] {
    const { database } = this.#journal;
    if (database === null) return [];
    return database.prepare<(string | number)[], EntryRow>(`SELECT * FROM entries ${tail}`).all(...values);
  }
}

function rowFits(row: EntryRow): boolean {
  try {
    return entryHash(entryFromRow(row)) === row.hash;
  } catch {
    return false;
  }
}
