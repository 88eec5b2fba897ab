// SPDX-License-Identifier: Apache-2.0
/**
 * Copies of the hosts' journals. An entry is appended only if it carries the hash of the entry before it. If
 * it does not, the host has another journal now. The copy of that one begins as a new epoch, and the old
 * epoch is kept.
 */
import { type JournalFilter, journalConditions } from '@luo-console/agent/client';
import type { Entry } from '@luo-console/agent/interface';
import type { ReplicaDatabase } from './database.ts';

/** The hash that a journal's first entry builds on. */
const chainStart = '0'.repeat(64);

/** Where a copy ends: the last entry's sequence and hash. */
export interface CopyEnd {
  readonly sequence: number;
  readonly hash: string;
}

/** Entries that do not follow on what the copy has. */
export class ChainBroken extends Error {
  readonly sequence: number;

  constructor(sequence: number, problem: string) {
    super(`journal entry ${sequence}: ${problem}`);
    this.name = 'ChainBroken';
    this.sequence = sequence;
  }
}

/** The parameters of `QueryJournal`. */
export interface JournalQuery extends JournalFilter {
  readonly limit?: number | null;
  readonly ascending?: boolean | null;
}

/** Entries on a page where the question names no limit, as the agent has it. */
const pageSize = 100;

export class JournalCopy {
  readonly #database: ReplicaDatabase;
  readonly #host: string;

  constructor(database: ReplicaDatabase, host: string) {
    this.#database = database;
    this.#host = host;
  }

  /** Where the current epoch ends, or null if nothing was ever copied. */
  end(): CopyEnd | null {
    const epoch = this.#epoch();
    if (epoch === null) return null;
    const row = this.#database
      .prepare<[number], CopyEnd>(
        'SELECT sequence, hash FROM entries WHERE epoch = ? ORDER BY sequence DESC LIMIT 1',
      )
      .get(epoch.id);
    return row ?? null;
  }

  /** When the copy was last known to be complete, in microseconds since the Unix epoch; null if never. */
  currentAtUs(): number | null {
    return this.#epoch()?.current_at_us ?? null;
  }

  /** How many epochs there are, the current one included. */
  epochs(): number {
    const row = this.#database
      .prepare<[string], { n: number }>('SELECT count(*) AS n FROM epochs WHERE host = ?')
      .get(this.#host);
    return row?.n ?? 0;
  }

  /** Begins a new epoch; `reason` is one sentence on why the old one ended. */
  begin(reason: string, atUs: number): void {
    this.#database
      .prepare('INSERT INTO epochs (host, reason, begun_at_us, current_at_us) VALUES (?, ?, ?, ?)')
      .run(this.#host, reason, atUs, atUs);
  }

  /** Notes that the copy is complete at `atUs`. */
  markCurrent(atUs: number): void {
    const epoch = this.#epoch();
    if (epoch) this.#database.prepare('UPDATE epochs SET current_at_us = ? WHERE id = ?').run(atUs, epoch.id);
  }

  /**
   * Appends entries, oldest first, all or none.
   *
   * @throws ChainBroken if one does not follow on the entry before it
   */
  append(entries: readonly Entry[], atUs: number): void {
    this.#database.transaction(() => {
      if (this.#epoch() === null) this.begin('First copy of this journal.', atUs);
      const epoch = this.#epoch()?.id ?? 0;
      let last = this.end() ?? { sequence: 0, hash: chainStart };
      const insert = this.#database.prepare(
        `INSERT INTO entries (epoch, sequence, at_us, name, update_id, session, ok, message, parameters, hash, entry)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      );
      for (const entry of entries) {
        if (entry.sequence !== last.sequence + 1) {
          throw new ChainBroken(entry.sequence, `expected sequence ${last.sequence + 1}`);
        }
        if (entry.previousHash !== last.hash) {
          throw new ChainBroken(entry.sequence, `builds on ${entry.previousHash}, not on ${last.hash}`);
        }
        insert.run(
          epoch,
          entry.sequence,
          entry.atUs,
          entry.name,
          entry.update,
          entry.session,
          entry.ok === null ? null : Number(entry.ok),
          entry.message,
          JSON.stringify(entry.parameters),
          entry.hash,
          JSON.stringify(entry),
        );
        last = entry;
      }
      this.markCurrent(atUs);
    })();
  }

  /** A page of the current epoch, as `QueryJournal` would give it; null if nothing was ever copied. */
  query(filter: JournalQuery): { entries: Entry[]; more: boolean } | null {
    const epoch = this.#epoch();
    if (epoch === null) return null;
    const limit = filter.limit ?? pageSize;
    const { conditions, values } = journalConditions(filter);
    const where = ['epoch = ?', ...conditions].join(' AND ');
    const order = filter.ascending ? 'ASC' : 'DESC';
    const rows = this.#database
      .prepare<(string | number)[], { entry: string }>(
        `SELECT entry FROM entries WHERE ${where} ORDER BY sequence ${order} LIMIT ?`,
      )
      .all(epoch.id, ...values, limit + 1);
    const entries = rows.slice(0, limit).map((row) => JSON.parse(row.entry) as Entry);
    return { entries, more: rows.length > limit };
  }

  /** Every entry of the current epoch, oldest first. */
  *walk(): Generator<Entry> {
    let after = 0;
    for (;;) {
      const page = this.query({ after, ascending: true, limit: 500 });
      const last = page?.entries.at(-1);
      if (!page || !last) return;
      yield* page.entries;
      after = last.sequence;
    }
  }

  /** Drops all epochs of the host. */
  forget(): void {
    this.#database.prepare('DELETE FROM epochs WHERE host = ?').run(this.#host);
  }

  #epoch(): { id: number; current_at_us: number } | null {
    const row = this.#database
      .prepare<[string], { id: number; current_at_us: number }>(
        'SELECT id, current_at_us FROM epochs WHERE host = ? ORDER BY id DESC LIMIT 1',
      )
      .get(this.#host);
    return row ?? null;
  }
}
