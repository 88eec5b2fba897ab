// SPDX-License-Identifier: Apache-2.0
/**
 * The journal's file: one SQLite database in WAL mode with `synchronous=FULL`. A committed entry has been through fsync
 * before the call that wrote it returns. The schema carries its version in `user_version`; each migration runs in its
 * own transaction. Triggers refuse to change or delete an entry. Somebody could still edit the file without them; the
 * chain of hashes then shows it.
 */
import Database from 'better-sqlite3';

export type JournalDatabase = Database.Database;

const migrations: readonly string[] = [
  `CREATE TABLE entries (
     sequence INTEGER PRIMARY KEY AUTOINCREMENT,
     at_us INTEGER NOT NULL,
     kind TEXT NOT NULL CHECK (kind IN ('act', 'result', 'note')),
     name TEXT NOT NULL,
     answers INTEGER REFERENCES entries (sequence),
     boot_id TEXT NOT NULL,
     phase TEXT NOT NULL,
     update_id TEXT,
     session TEXT,
     peer TEXT,
     parameters TEXT NOT NULL,
     ok INTEGER,
     errno TEXT,
     message TEXT NOT NULL,
     duration_us INTEGER,
     previous_hash TEXT NOT NULL,
     hash TEXT NOT NULL UNIQUE
   ) STRICT;
   CREATE INDEX entries_by_name ON entries (name, sequence);
   CREATE INDEX entries_by_update ON entries (update_id, sequence) WHERE update_id IS NOT NULL;
   CREATE INDEX entries_by_session ON entries (session, sequence) WHERE session IS NOT NULL;
   CREATE INDEX entries_by_time ON entries (at_us);
   CREATE TRIGGER entries_never_change BEFORE UPDATE ON entries
     BEGIN SELECT RAISE(ABORT, 'the journal is append-only: an entry cannot be changed'); END;
   CREATE TRIGGER entries_never_go BEFORE DELETE ON entries
     BEGIN SELECT RAISE(ABORT, 'the journal is append-only: an entry cannot be deleted'); END;`,
];

/**
 * A file up to this size in bytes is read through when it is opened. That happens while memory waits to be
 * retrieved; a longer one must not hold it up, and is found to be damaged when it is used or verified.
 */
const checkedBytes = 8 * 1024 * 1024;

/**
 * Opens the journal's database, creating or migrating it.
 *
 * @param path the file; `:memory:` keeps it in memory.
 * @throws Error if the file is not a database, is damaged, or was written by a newer agent.
 */
export function openJournalDatabase(path: string): JournalDatabase {
  const database = new Database(path);
  try {
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    database.pragma('foreign_keys = ON');
    const version = Number(database.pragma('user_version', { simple: true }));
    if (version > migrations.length) {
      throw new Error(
        `${path}: schema version ${version}, this agent knows versions up to ${migrations.length}; a newer agent wrote it`,
      );
    }
    migrations.slice(version).forEach((script, offset) => {
      database.transaction(() => {
        database.exec(script);
        database.pragma(`user_version = ${version + offset + 1}`);
      })();
    });
    const pages = Number(database.pragma('page_count', { simple: true }));
    if (pages * Number(database.pragma('page_size', { simple: true })) <= checkedBytes) {
      const health = String(database.pragma('quick_check(1)', { simple: true }));
      if (health !== 'ok') throw new Error(`${path}: ${health}`);
    }
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}
