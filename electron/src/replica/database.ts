// SPDX-License-Identifier: Apache-2.0
/**
 * The replica's file: the last answers of each host, so that a host that is away can still be looked at. It
 * is a copy; losing it loses nothing that the hosts do not have. The schema's version is in `user_version`,
 * and each migration runs in a separate transaction.
 */
import Database from 'better-sqlite3';

export type ReplicaDatabase = Database.Database;

/**
 * `epochs`: a journal that its host started from scratch gets a new epoch here, and the entries of the old
 * one stay. `entries.entry` is the entry as the agent sent it; the other columns are for filters.
 */
const migrations: readonly string[] = [
  `CREATE TABLE answers (
     host TEXT NOT NULL,
     method TEXT NOT NULL,
     parameters TEXT NOT NULL,
     reply TEXT NOT NULL,
     at_us INTEGER NOT NULL,
     PRIMARY KEY (host, method, parameters)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE epochs (
     id INTEGER PRIMARY KEY,
     host TEXT NOT NULL,
     reason TEXT NOT NULL,
     begun_at_us INTEGER NOT NULL,
     current_at_us INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX epochs_by_host ON epochs (host, id);
   CREATE TABLE entries (
     epoch INTEGER NOT NULL REFERENCES epochs (id) ON DELETE CASCADE,
     sequence INTEGER NOT NULL,
     at_us INTEGER NOT NULL,
     name TEXT NOT NULL,
     update_id TEXT,
     session TEXT,
     ok INTEGER,
     message TEXT NOT NULL,
     parameters TEXT NOT NULL,
     hash TEXT NOT NULL,
     entry TEXT NOT NULL,
     PRIMARY KEY (epoch, sequence)
   ) STRICT, WITHOUT ROWID;`,
  // Answers are kept as they were given. They now tell of machines; older ones lack what is shown of each.
  'DELETE FROM answers;',
];

/**
 * Opens the replica at `path`, creating or migrating it.
 *
 * @throws Error if the file is not a database, or a newer console wrote it
 */
export function openReplicaDatabase(path: string): ReplicaDatabase {
  const database = new Database(path);
  try {
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = NORMAL');
    database.pragma('foreign_keys = ON');
    const version = Number(database.pragma('user_version', { simple: true }));
    if (version > migrations.length) {
      throw new Error(
        `${path} has schema version ${version}; this console knows versions up to ${migrations.length}`,
      );
    }
    migrations.slice(version).forEach((script, offset) => {
      database.transaction(() => {
        database.exec(script);
        database.pragma(`user_version = ${version + offset + 1}`);
      })();
    });
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}
