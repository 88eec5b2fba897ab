// SPDX-License-Identifier: Apache-2.0
/** Answers for a host that is away, from what it said while it was there. */
import { renameSync, rmSync } from 'node:fs';
import type { Status } from '@luo-console/agent/interface';
import Database from 'better-sqlite3';
import { Answers, type KnownAnswer } from './answers.ts';
import { openReplicaDatabase, type ReplicaDatabase } from './database.ts';
import { newestAnswer } from './derived.ts';
import { JournalCopy, type JournalQuery } from './journal-copy.ts';

type Fields = Record<string, unknown>;

export class Replica {
  readonly #database: ReplicaDatabase;
  readonly #answers: Answers;

  /** Opens or creates the file at `path`; throws what `openReplicaDatabase` throws. */
  constructor(path: string) {
    this.#database = openReplicaDatabase(path);
    this.#answers = new Answers(this.#database);
  }

  /** Keeps a reply that was just given. */
  keep(host: string, method: string, parameters: Fields, answer: KnownAnswer): void {
    this.#answers.keep(host, method, parameters, answer);
  }

  /** What is known of the answer to a question, or null. The journal is answered from its copy. */
  answer(host: string, method: string, parameters: Fields): KnownAnswer | null {
    if (method !== 'QueryJournal') return newestAnswer(this.#answers, host, method, parameters);
    const copy = this.journal(host);
    const page = copy.query(parameters as JournalQuery);
    const atUs = copy.currentAtUs();
    return page && atUs !== null ? { reply: page, atUs } : null;
  }

  lastStatus(host: string): { readonly status: Status; readonly atUs: number } | null {
    const known = this.#answers.last(host, 'GetStatus', {});
    return known && { status: known.reply['status'] as Status, atUs: known.atUs };
  }

  journal(host: string): JournalCopy {
    return new JournalCopy(this.#database, host);
  }

  /** Forgets everything about a host. */
  forget(host: string): void {
    this.#answers.forget(host);
    this.journal(host).forget();
  }

  close(): void {
    this.#database.close();
  }
}

/**
 * Opens the replica at `path`. A file that is damaged is moved aside, which `onDamaged` is told, and a new one
 * is begun: it holds copies only.
 *
 * @throws Error if a newer console wrote it; SqliteError if it cannot be opened for another reason
 */
export function openReplica(path: string, onDamaged: (message: string) => void): Replica {
  try {
    return new Replica(path);
  } catch (error) {
    const damaged = error instanceof Database.SqliteError && /^SQLITE_(NOTADB|CORRUPT)/.test(error.code);
    if (!damaged) throw error;
    const aside = `${path}.damaged-${new Date().toISOString().replaceAll(':', '')}`;
    renameSync(path, aside);
    for (const companion of ['-wal', '-shm']) rmSync(path + companion, { force: true });
    onDamaged(`${path} is damaged (${error.message}); it was kept as ${aside}`);
    return new Replica(path);
  }
}
