// SPDX-License-Identifier: Apache-2.0
/**
 * The journal: an entry is on disk before the act it announces, and its result after it.
 *
 * `act` is the one way to do something that changes the host: it writes the announcement, runs the act, and writes how
 * it ended. A journal that cannot be written stops further acts. If the announcement fails, the act does not happen. If
 * the result fails, the act has happened and the caller is told so. The agent then accepts no act until it is started
 * again. A full disk at an announcement is no such failure: nothing has happened, and the next act is tried. Looking at
 * the host still works.
 *
 * A database that is damaged, or was written by a newer agent, is not moved aside and not repaired: it is evidence. The
 * journal then refuses to write and says why; an operator decides what happens to the file.
 */
import { EventEmitter } from 'node:events';
import type { Statement } from 'better-sqlite3';
import { saidBy } from '../host/said-by.ts';
import { type JournalDatabase, openJournalDatabase } from './database.ts';
import {
  chainStart,
  type EntryKind,
  type EntryRow,
  entryHash,
  type JournalEntry,
  type RecordedPeer,
} from './entry.ts';

/** What every entry carries of the moment it is written in. */
export interface JournalContext {
  readonly bootId: string;
  phase(): string;
  /** The live update under way, if any. */
  update(): string | null;
  /** µs since the epoch. */
  nowUs(): number;
  /** µs of a clock that does not jump. */
  steadyUs(): number;
}

export interface EntryFields {
  readonly session?: string | null;
  readonly update?: string | null;
  readonly peer?: RecordedPeer | null;
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly message?: string;
}

/** How an act describes its result: what a reader of the journal should see of it. */
export interface ResultFields {
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly message?: string;
}

/** The journal cannot be written. `reason` says why, in words for an operator. */
export class JournalUnwritable extends Error {
  readonly reason: string;
  readonly code: string;
  constructor(reason: string, code: string) {
    super(`the journal cannot be written: ${reason}`);
    this.name = 'JournalUnwritable';
    this.reason = reason;
    this.code = code;
  }
}

const insertSql = `INSERT INTO entries VALUES (@sequence, @at_us, @kind, @name, @answers, @boot_id, @phase, @update_id,
  @session, @peer, @parameters, @ok, @errno, @message, @duration_us, @previous_hash, @hash)`;

interface Draft {
  kind: EntryKind;
  name: string;
  answers: number | null;
  ok: boolean | null;
  errno: string | null;
  durationUs: number | null;
  fields: EntryFields;
}

export class Journal {
  /** Emits `entry` with each `JournalEntry` once it is on disk. */
  readonly events = new EventEmitter().setMaxListeners(0);
  readonly #database: JournalDatabase | null;
  readonly #context: JournalContext;
  #insert: Statement<[EntryRow]> | null = null;
  #unwritable: string | null = null;
  #unwritableCode = 'EIO';
  #last: { sequence: number; hash: string } = { sequence: 0, hash: chainStart };
  /** Entries of a transaction under way, which nobody hears of before it is on disk; null outside of one. */
  #together: JournalEntry[] | null = null;

  /** @param path the database file. A file that cannot be used does not throw: see `unwritable`. */
  constructor(path: string, context: JournalContext) {
    this.#context = context;
    let database: JournalDatabase | null = null;
    try {
      database = openJournalDatabase(path);
      const row = database
        .prepare<[], { sequence: number; hash: string }>(
          'SELECT sequence, hash FROM entries ORDER BY sequence DESC LIMIT 1',
        )
        .get();
      if (row) this.#last = row;
    } catch (error) {
      this.#refuse(`${path}: ${saidBy(error)}`, error);
    }
    this.#database = database;
  }

  /** Why nothing can be written, or null if all is well. */
  get unwritable(): string | null {
    return this.#unwritable;
  }

  /** The sequence of the newest entry; 0 for an empty journal. */
  get lastSequence(): number {
    return this.#last.sequence;
  }

  /** The database, for reading. Null if it could not be opened. */
  get database(): JournalDatabase | null {
    return this.#database;
  }

  /** Writes an observation. @throws JournalUnwritable */
  note(name: string, fields: EntryFields = {}): JournalEntry {
    return this.#write({
      kind: 'note',
      name,
      answers: null,
      ok: null,
      errno: null,
      durationUs: null,
      fields,
    });
  }

  /**
   * Announces an act, does it, and records how it ended.
   *
   * @param name what is done, for example `session.preserve`.
   * @param describe what to record of a successful result beside the fact.
   * @returns what `run` returned. Rejects with what `run` threw, after recording it.
   * @throws JournalUnwritable before `run` is called if the announcement cannot be written, or afterwards if
   *   the result cannot.
   */
  async act<T>(
    name: string,
    fields: EntryFields,
    run: () => Promise<T> | T,
    describe?: (result: T) => ResultFields,
  ): Promise<T> {
    const announced = this.announce(name, fields);
    const startedUs = this.#context.steadyUs();
    let result: T;
    try {
      result = await run();
    } catch (error) {
      this.settle(announced, fields, error, this.#context.steadyUs() - startedUs);
      throw error;
    }
    this.settle(announced, { ...fields, ...describe?.(result) }, null, this.#context.steadyUs() - startedUs);
    return result;
  }

  /** Writes the announcement alone: for an act whose end this process may not see. @throws JournalUnwritable */
  announce(name: string, fields: EntryFields): JournalEntry {
    return this.#write({ kind: 'act', name, answers: null, ok: null, errno: null, durationUs: null, fields });
  }

  /**
   * Writes the result of an announced act.
   *
   * @param failure what went wrong, or null. Its `code` is recorded as errno.
   * @param durationUs how long it took, if known.
   * @throws JournalUnwritable
   */
  settle(
    announced: JournalEntry,
    fields: EntryFields,
    failure: unknown,
    durationUs: number | null,
  ): JournalEntry {
    const message = failure === null ? fields.message : saidBy(failure);
    return this.#write({
      kind: 'result',
      name: announced.name,
      answers: announced.sequence,
      ok: failure === null,
      errno: failure === null ? null : codeOf(failure),
      durationUs: durationUs === null ? null : Math.max(0, Math.round(durationUs)),
      fields: { ...fields, update: fields.update ?? announced.update, message: message ?? '' },
    });
  }

  /**
   * Writes several entries as one: all of them are on disk once this returns, or none is. That takes as long as one.
   *
   * @param write writes entries and does nothing else
   * @throws JournalUnwritable; what `write` throws
   */
  together<T>(write: () => T): T {
    if (this.#database === null || this.#together !== null) return write();
    let result: T;
    const before = this.#last;
    const entries: JournalEntry[] = [];
    let fromWrite = false;
    this.#together = entries;
    try {
      result = this.#database.transaction(() => {
        try {
          return write();
        } catch (error) {
          fromWrite = true;
          throw error;
        }
      })();
    } catch (error) {
      this.#last = before;
      if (fromWrite) throw error;
      const hasHappened = entries.some(({ kind }) => kind === 'result');
      throw this.#failed(error, hasHappened);
    } finally {
      this.#together = null;
    }
    for (const entry of entries) this.events.emit('entry', entry);
    return result;
  }

  close(): void {
    this.#database?.close();
    this.#refuse('the agent is stopping', null);
  }

  /** What to throw for an entry that could not be written. Nothing more is written, unless nothing has happened yet. */
  #failed(error: unknown, hasHappened: boolean): JournalUnwritable {
    const reason = saidBy(error);
    const code = codeOf(error) ?? 'EIO';
    if (code !== 'ENOSPC' || hasHappened) this.#refuse(reason, error);
    return new JournalUnwritable(reason, code);
  }

  #refuse(reason: string, error: unknown): void {
    this.#unwritable = reason;
    this.#unwritableCode = codeOf(error) ?? 'EIO';
  }

  #write(draft: Draft): JournalEntry {
    if (this.#unwritable !== null || this.#database === null) {
      throw new JournalUnwritable(this.#unwritable ?? 'it is not open', this.#unwritableCode);
    }
    const { fields } = draft;
    const bare = {
      sequence: this.#last.sequence + 1,
      atUs: this.#context.nowUs(),
      kind: draft.kind,
      name: draft.name,
      answers: draft.answers,
      bootId: this.#context.bootId,
      phase: this.#context.phase(),
      update: fields.update ?? this.#context.update(),
      session: fields.session ?? null,
      peer: fields.peer ?? null,
      // Through JSON once, so that what is hashed is what a reader of the file gets back.
      parameters: JSON.parse(JSON.stringify(fields.parameters ?? {})) as Record<string, unknown>,
      ok: draft.ok,
      errno: draft.errno,
      message: fields.message ?? '',
      durationUs: draft.durationUs,
      previousHash: this.#last.hash,
    };
    const entry: JournalEntry = { ...bare, hash: entryHash(bare) };
    try {
      this.#insert ??= this.#database.prepare(insertSql);
      this.#insert.run(rowOf(entry));
    } catch (error) {
      throw this.#failed(error, draft.kind === 'result');
    }
    this.#last = { sequence: entry.sequence, hash: entry.hash };
    if (this.#together === null) this.events.emit('entry', entry);
    else this.#together.push(entry);
    return entry;
  }
}

function rowOf(entry: JournalEntry): EntryRow {
  return {
    sequence: entry.sequence,
    at_us: entry.atUs,
    kind: entry.kind,
    name: entry.name,
    answers: entry.answers,
    boot_id: entry.bootId,
    phase: entry.phase,
    update_id: entry.update,
    session: entry.session,
    peer: entry.peer === null ? null : JSON.stringify(entry.peer),
    parameters: JSON.stringify(entry.parameters),
    ok: entry.ok === null ? null : entry.ok ? 1 : 0,
    errno: entry.errno,
    message: entry.message,
    duration_us: entry.durationUs,
    previous_hash: entry.previousHash,
    hash: entry.hash,
  };
}

function codeOf(failure: unknown): string | null {
  if (!(failure instanceof Error)) return null;
  const { code, parameters } = failure as { code?: unknown; parameters?: { errno?: unknown } };
  if (typeof code === 'string') return errnoOfSqlite(code) ?? code;
  return typeof parameters?.errno === 'string' ? parameters.errno : null;
}

/** The errno behind SQLite's own names (https://www.sqlite.org/rescode.html); null for what has none. */
function errnoOfSqlite(code: string): string | null {
  if (code === 'SQLITE_FULL') return 'ENOSPC';
  if (code.startsWith('SQLITE_READONLY')) return 'EROFS';
  if (code === 'SQLITE_CANTOPEN' || /^SQLITE_(IOERR|CORRUPT|NOTADB)/.test(code)) return 'EIO';
  return null;
}
