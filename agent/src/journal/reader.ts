// SPDX-License-Identifier: Apache-2.0
/**
 * Reading the journal: pages of entries by filter, following, export as JSON Lines, and checking the chain.
 * Whatever goes through much of the journal goes in portions and lets the event loop breathe between them.
 */
import { setImmediate } from 'node:timers/promises';
import { type JournalFilter, journalConditions } from '../client/journal-filter.ts';
import { chainStart, type EntryRow, entryFromRow, entryHash, type JournalEntry } from './entry.ts';
import type { Journal } from './journal.ts';
import { Portion } from './portion.ts';
import { isDamage, JournalUnreadable, unlessUnreadable } from './unreadable.ts';

/** The most entries that are handed out, or looked at, in one go. */
const batch = 500;
const stretch = 4096;

export class JournalReader {
  readonly #journal: Journal;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  /**
   * A page of entries, newest first unless `ascending`. `more` says whether the filter matches further ones.
   *
   * @throws JournalUnreadable if one of them is damaged: nothing is written behind it any more
   */
  query(
    filter: JournalFilter,
    limit: number,
    ascending: boolean,
  ): { entries: JournalEntry[]; more: boolean } {
    const { conditions, values } = journalConditions(filter);
    const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
    try {
      const rows = this.#rows(`${where} ORDER BY sequence ${ascending ? 'ASC' : 'DESC'} LIMIT ?`, [
        ...values,
        limit + 1,
      ]);
      return { entries: rows.slice(0, limit).map(entryFromRow), more: rows.length > limit };
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#journal.distrust(error);
      throw new JournalUnreadable(error);
    }
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
    const portion = new Portion(stretch);
    for (let done = 0; first + done <= last && found.length <= limit; ) {
      if (done > 0) await setImmediate();
      if (signal.aborted) break;
      const size = portion.entries;
      const after = ascending ? first - 1 + done : Math.max(first - 1, last - done - size);
      const before = ascending ? Math.min(last + 1, first + done + size) : last - done + 1;
      const wanted = limit + 1 - found.length;
      found.push(
        ...portion.through(() => this.query({ ...filter, after, before }, wanted, ascending).entries),
      );
      done += size;
    }
    return { entries: found.slice(0, limit), more: found.length > limit };
  }

  /** The newest entry that matches, or null. @throws JournalUnreadable */
  newest(filter: JournalFilter): JournalEntry | null {
    return this.query(filter, 1, false).entries[0] ?? null;
  }

  /** The same for what must not fail: null too if the journal is damaged there, which `Journal.unwritable` then says. */
  newestReadable(filter: JournalFilter): JournalEntry | null {
    return unlessUnreadable(() => this.newest(filter), null);
  }

  /** Every entry between two sequences (exclusive), oldest first, in batches. */
  async *walk(filter: JournalFilter = {}): AsyncGenerator<JournalEntry[]> {
    let after = filter.after ?? 0;
    const portion = new Portion(batch);
    for (;;) {
      const from = after;
      const { entries } = portion.through(() =>
        this.query({ ...filter, after: from }, portion.entries, true),
      );
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
    const portion = new Portion(batch);
    let wake = (): void => {};
    const onEvent = (): void => wake();
    this.#journal.events.on('entry', onEvent);
    signal.addEventListener('abort', onEvent);
    try {
      while (!signal.aborted) {
        const from = position;
        const { entries } = portion.through(() => this.query({ after: from }, portion.entries, true));
        const last = entries.at(-1);
        if (last !== undefined) {
          yield entries;
          position = last.sequence;
          await setImmediate();
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
    const chain = { previousHash: chainStart, entries: 0 };
    const portion = new Portion(batch);
    for (;;) {
      const wanted = portion.entries;
      const rows = portion.through(() => {
        const some = this.#rows('WHERE sequence > ? ORDER BY sequence ASC LIMIT ?', [chain.entries, wanted]);
        for (const row of some) {
          if (row.sequence !== chain.entries + 1 || row.previous_hash !== chain.previousHash || !rowFits(row))
            return { firstBad: row.sequence, count: some.length };
          chain.previousHash = row.hash;
          chain.entries += 1;
        }
        return { firstBad: null, count: some.length };
      });
      const { entries } = chain;
      if (rows.firstBad !== null || rows.count < wanted) return { entries, firstBad: rows.firstBad };
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
