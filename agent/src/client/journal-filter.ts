// SPDX-License-Identifier: Apache-2.0
/**
 * The filter of `QueryJournal` as conditions in SQL. The agent's journal and the console's copies of it keep entries
 * in the same columns, so one question gives the same entries in both.
 */

/**
 * All conditions must hold; null and absent alike mean none. Sequences are exclusive, times in µs since the epoch and
 * inclusive.
 */
export interface JournalFilter {
  readonly after?: number | null;
  readonly before?: number | null;
  readonly name?: string | null;
  readonly session?: string | null;
  readonly update?: string | null;
  readonly failedOnly?: boolean | null;
  readonly fromUs?: number | null;
  readonly toUs?: number | null;
  /** Found anywhere in name, message, session or parameters, without regard to case of ASCII letters. */
  readonly text?: string | null;
}

/** Escapes what LIKE would take for a wildcard. */
function likePattern(text: string): string {
  return `%${text.replace(/[\\%_]/g, '\\$&')}%`;
}

/**
 * The conditions of a filter.
 *
 * @returns SQL to be joined by AND, none for a filter that matches everything; and the values of their `?`, in order
 */
export function journalConditions(filter: JournalFilter): {
  conditions: string[];
  values: (string | number)[];
} {
  const conditions: string[] = [];
  const values: (string | number)[] = [];
  const add = (sql: string, value: string | number | null | undefined): void => {
    if (value === null || value === undefined) return;
    conditions.push(sql);
    values.push(value);
  };
  add('sequence > ?', filter.after);
  add('sequence < ?', filter.before);
  add('name = ?', filter.name);
  add('session = ?', filter.session);
  add('update_id = ?', filter.update);
  add('at_us >= ?', filter.fromUs);
  add('at_us <= ?', filter.toUs);
  if (filter.failedOnly) conditions.push('ok = 0');
  if (filter.text) {
    const pattern = likePattern(filter.text);
    const columns = ['name', 'message', 'session', 'parameters'];
    conditions.push(`(${columns.map((column) => `${column} LIKE ? ESCAPE '\\'`).join(' OR ')})`);
    values.push(...columns.map(() => pattern));
  }
  return { conditions, values };
}
