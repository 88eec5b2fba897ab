// SPDX-License-Identifier: Apache-2.0
/** The last reply to each question that was asked of a host, with its time. */
import type { ReplicaDatabase } from './database.ts';

type Fields = Record<string, unknown>;

/** A reply and when it was given, in microseconds since the Unix epoch. */
export interface KnownAnswer {
  readonly reply: Fields;
  readonly atUs: number;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, field]) => field !== null && field !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, field]) => [name, sorted(field)]));
}

/** One text for all ways to write the same parameters: fields in order, absent and null alike. */
export function questionKey(parameters: Fields): string {
  return JSON.stringify(sorted(parameters));
}

export class Answers {
  readonly #database: ReplicaDatabase;

  constructor(database: ReplicaDatabase) {
    this.#database = database;
  }

  keep(host: string, method: string, parameters: Fields, { reply, atUs }: KnownAnswer): void {
    this.#database
      .prepare(
        'INSERT OR REPLACE INTO answers (host, method, parameters, reply, at_us) VALUES (?, ?, ?, ?, ?)',
      )
      .run(host, method, questionKey(parameters), JSON.stringify(reply), atUs);
  }

  /** The last reply to exactly this question, or null. */
  last(host: string, method: string, parameters: Fields): KnownAnswer | null {
    const row = this.#database
      .prepare<[string, string, string], { reply: string; at_us: number }>(
        'SELECT reply, at_us FROM answers WHERE host = ? AND method = ? AND parameters = ?',
      )
      .get(host, method, questionKey(parameters));
    return row ? { reply: JSON.parse(row.reply) as Fields, atUs: row.at_us } : null;
  }

  /** The last replies to all questions of one method, newest first, with the questions. */
  all(host: string, method: string): (KnownAnswer & { readonly parameters: Fields })[] {
    const rows = this.#database
      .prepare<[string, string], { parameters: string; reply: string; at_us: number }>(
        'SELECT parameters, reply, at_us FROM answers WHERE host = ? AND method = ? ORDER BY at_us DESC',
      )
      .all(host, method);
    return rows.map((row) => ({
      parameters: JSON.parse(row.parameters) as Fields,
      reply: JSON.parse(row.reply) as Fields,
      atUs: row.at_us,
    }));
  }

  forget(host: string): void {
    this.#database.prepare('DELETE FROM answers WHERE host = ?').run(host);
  }
}
