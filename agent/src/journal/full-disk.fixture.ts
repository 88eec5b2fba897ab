// SPDX-License-Identifier: Apache-2.0
/** A disk that can be full: SQLite then answers as it does when the file system has no room for a page. */
import Database from 'better-sqlite3';
import { onTestFinished } from 'vitest';

/** Whether the disk is full now. */
export interface Disk {
  full: boolean;
}

/** Puts every journal that is opened from now on, or has written nothing yet, on this disk until the test is over. */
export function fillable(disk: Disk): void {
  const { prepare } = Database.prototype;
  // A spy would keep every database that it was called for.
  Reflect.set(Database.prototype, 'prepare', function (this: Database.Database, sql: string) {
    const statement = prepare.call<Database.Database, [string], Database.Statement<unknown[]>>(this, sql);
    if (!sql.startsWith('INSERT')) return statement;
    const run = statement.run.bind(statement);
    statement.run = (...given) => {
      if (disk.full) throw Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });
      return run(...given);
    };
    return statement;
  });
  onTestFinished(() => {
    Database.prototype.prepare = prepare;
  });
}
