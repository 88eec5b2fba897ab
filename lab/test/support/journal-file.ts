// SPDX-License-Identifier: Apache-2.0
/** The host's journal, read from its SQLite file by itself: no agent, no interface in between. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { LabHost } from '../../src/index.ts';
import { run } from './memory.ts';

export interface JournalRow {
  readonly sequence: number;
  readonly kind: 'act' | 'result' | 'note';
  readonly name: string;
  readonly update_id: string | null;
  readonly parameters: string;
  readonly ok: number | null;
  readonly message: string;
}

/** All entries of the host's journal, oldest first. The write-ahead log belongs to the database and comes along. */
export async function readJournalFile(host: LabHost): Promise<JournalRow[]> {
  const directory = await mkdtemp(join(tmpdir(), 'luo-journal-'));
  try {
    await run(
      host,
      'rm -rf /run/journal && mkdir /run/journal && cp /var/lib/luo-console/journal.db* /run/journal/',
    );
    await host.copyOut(['/run/journal/.'], directory);
    const database = new Database(join(directory, 'journal.db'));
    try {
      return database.prepare<[], JournalRow>('SELECT * FROM entries ORDER BY sequence').all();
    } finally {
      database.close();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
