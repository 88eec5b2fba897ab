// SPDX-License-Identifier: Apache-2.0
/**
 * The journal. What adds risk is announced on disk before it is done. What gives back is done first.
 *
 * `act` is for what adds risk: it writes the announcement, runs the act, and writes how it ended. Without the
 * announcement the act does not happen. `giveBack` is for what lets run on, undoes, aborts, closes or releases: no disk
 * may keep it from being done. It is noted in memory, done, and then written.
 *
 * What was done and cannot be written stays in memory (`unwritten.ts`), and its line goes to the kernel log at once. It is
 * written later, in order, before anything else is. Until then nothing that adds risk is done. A disk that is full is
 * tried again. Any other failure closes the journal until the agent is started again. Acts that add risk are then refused,
 * and the others are noted in the kernel log alone.
 *
 * A database that is damaged, or was written by a newer agent, is not moved aside and not repaired: it is evidence. The
 * journal then refuses to write and says why; an operator decides what happens to the file.
 */
import { EventEmitter } from 'node:events';
import { saidBy } from '../host/said-by.ts';
import { Chain } from './chain.ts';
import { type JournalDatabase, openJournalDatabase } from './database.ts';
import type { EntryKind, JournalEntry, RecordedPeer } from './entry.ts';
import { codeOf } from './errno.ts';
import { JournalUnwritable } from './unwritable.ts';
import { type Announced, type Draft, lineOf, Unwritten } from './unwritten.ts';

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
  /** Told at once, in one line, what happened and could not be written, and why not. */
  notWritten(what: string, why: string): void;
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

/** How long before what could not be written is tried again, in ms: nothing says that a disk has room again. */
const againMs = 5000;

interface Result {
  readonly answers: Announced;
  readonly failure: unknown;
  readonly durationUs: number | null;
}

export class Journal {
  /** Emits `entry` with each `JournalEntry` once it is on disk. */
  readonly events = new EventEmitter().setMaxListeners(0);
  readonly #database: JournalDatabase | null;
  readonly #chain: Chain | null;
  readonly #context: JournalContext;
  readonly #unwritten = new Unwritten();
  #unwritable: string | null = null;
  #unwritableCode = 'EIO';
  #lastFailure: JournalUnwritable | null = null;
  #notWritten = 0;
  #again: NodeJS.Timeout | null = null;
  /** What is to be written as one; null outside of that. */
  #together: Draft[] | null = null;

  /** @param path the database file. A file that cannot be used does not throw: see `unwritable`. */
  constructor(path: string, context: JournalContext) {
    this.#context = context;
    let database: JournalDatabase | null = null;
    let chain: Chain | null = null;
    try {
      database = openJournalDatabase(path);
      chain = new Chain(database);
    } catch (error) {
      this.#refuse(`${path}: ${saidBy(error)}`, error);
    }
    this.#chain = chain;
    this.#database = database;
  }

  /** Why nothing can be written, or null if all is well. */
  get unwritable(): string | null {
    return this.#unwritable;
  }

  /** How often something that was done could not be written at once, in this process. */
  get notWritten(): number {
    return this.#notWritten;
  }

  /** Why the last of those could not. */
  get whyNotWritten(): string | null {
    return this.#lastFailure?.reason ?? null;
  }

  /** The sequence of the newest entry; 0 for an empty journal. */
  get lastSequence(): number {
    return this.#chain?.lastSequence ?? 0;
  }

  /** The database, for reading. Null if it could not be opened. */
  get database(): JournalDatabase | null {
    return this.#database;
  }

  /** Writes an observation. @throws JournalUnwritable */
  note(name: string, fields: EntryFields = {}): void {
    this.#put(this.#draft('note', name, fields, true));
  }

  /** As `note`, of what has happened in any case: it is written once that is possible. */
  remember(name: string, fields: EntryFields = {}): void {
    this.#put(this.#draft('note', name, fields, false));
  }

  /**
   * Announces an act that adds risk, does it, and records how it ended.
   *
   * @param name what is done, for example `session.preserve`.
   * @param describe what to record of a successful result beside the fact.
   * @returns what `run` returned, whether or not the result could be written. Rejects with what `run` threw.
   * @throws JournalUnwritable before `run` is called, if the announcement cannot be written
   */
  async act<T>(
    name: string,
    fields: EntryFields,
    run: () => Promise<T> | T,
    describe?: (result: T) => ResultFields,
  ): Promise<T> {
    return await this.#do(this.announce(name, fields), fields, run, describe);
  }

  /**
   * Does what gives back: lets run on, undoes, aborts, closes, releases, takes in. It never waits for the journal.
   *
   * @param name as for `act`
   * @returns what `run` returned. Rejects with what `run` threw, and for no other reason.
   */
  async giveBack<T>(
    name: string,
    fields: EntryFields,
    run: () => Promise<T> | T,
    describe?: (result: T) => ResultFields,
  ): Promise<T> {
    return await this.#do(this.begin(name, fields), fields, run, describe);
  }

  async #do<T>(
    announced: Announced,
    fields: EntryFields,
    run: () => Promise<T> | T,
    describe?: (result: T) => ResultFields,
  ): Promise<T> {
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
  announce(name: string, fields: EntryFields): Announced {
    const draft = this.#draft('act', name, fields, true);
    this.#put(draft);
    return draft;
  }

  /** Notes in memory that something begins that gives back. It is written before anything that comes after it. */
  begin(name: string, fields: EntryFields): Announced {
    const draft = this.#draft('act', name, fields, false);
    if (this.#unwritable === null) this.#unwritten.add([draft]);
    return draft;
  }

  /**
   * Writes the result of an announced act, now or later: it has happened.
   *
   * @param failure what went wrong, or null. Its `code` is recorded as errno.
   * @param durationUs how long it took, if known.
   */
  settle(announced: Announced, fields: EntryFields, failure: unknown, durationUs: number | null): void {
    const message = failure === null ? (fields.message ?? '') : saidBy(failure);
    const more = { ...fields, update: fields.update ?? announced.update, message };
    this.#put(
      this.#draft('result', announced.name, more, false, { answers: announced, failure, durationUs }),
    );
  }

  /**
   * Writes several entries as one: all of them are on disk once this returns, or none is. That takes as long as one.
   *
   * @param write writes entries and does nothing else
   * @throws JournalUnwritable, unless all of them say what has happened; what `write` throws
   */
  together<T>(write: () => T): T {
    if (this.#together !== null) return write();
    this.#together = [];
    let drafts: Draft[];
    let result: T;
    try {
      result = write();
    } finally {
      drafts = this.#together;
      this.#together = null;
    }
    this.#write(drafts);
    return result;
  }

  /** Makes sure that all that happened is on disk. @throws JournalUnwritable */
  writeAll(): void {
    const failure = this.#unwritten.isEmpty ? null : this.#commit([]);
    if (failure !== null) throw failure;
  }

  close(): void {
    if (this.#again !== null) clearTimeout(this.#again);
    this.#database?.close();
    this.#refuse('the agent is stopping', null);
  }

  #refuse(reason: string, error: unknown): void {
    this.#unwritable = reason;
    this.#unwritableCode = codeOf(error) ?? 'EIO';
  }

  #draft(
    kind: EntryKind,
    name: string,
    fields: EntryFields,
    mustBeWritten: boolean,
    result: Result | null = null,
  ): Draft {
    const { bootId, nowUs, phase, update } = this.#context;
    const failure = result?.failure ?? null;
    const durationUs = result?.durationUs ?? null;
    return {
      ...{ mustBeWritten, isTold: false, sequence: null, kind, name, atUs: nowUs(), bootId, phase: phase() },
      answers: result?.answers ?? null,
      update: fields.update ?? update(),
      session: fields.session ?? null,
      peer: fields.peer ?? null,
      // Through JSON once, so that what is hashed is what a reader of the file gets back.
      parameters: JSON.parse(JSON.stringify(fields.parameters ?? {})) as Record<string, unknown>,
      ok: result === null ? null : failure === null,
      errno: failure === null ? null : codeOf(failure),
      message: fields.message ?? '',
      durationUs: durationUs === null ? null : Math.max(0, Math.round(durationUs)),
    };
  }

  #put(draft: Draft): void {
    if (this.#together === null) this.#write([draft]);
    else this.#together.push(draft);
  }

  /** @throws JournalUnwritable if one of them must be on disk */
  #write(drafts: readonly Draft[]): void {
    const failure = this.#commit(drafts);
    if (failure === null) return;
    if (drafts.some(({ mustBeWritten }) => mustBeWritten)) throw failure;
    this.#notWritten += 1;
    if (this.#unwritable === null) this.#unwritten.add(drafts);
    for (const draft of [...this.#unwritten.list, ...drafts]) {
      if (!draft.isTold) this.#context.notWritten(lineOf(draft), failure.reason);
      draft.isTold = true;
    }
    this.#again ??= setTimeout(() => this.#tryAgain(), againMs).unref();
  }

  #tryAgain(): void {
    this.#again = null;
    if (this.#unwritten.isEmpty || this.#unwritable !== null || this.#commit([]) === null) return;
    this.#again ??= setTimeout(() => this.#tryAgain(), againMs).unref();
  }

  /** Writes what is still to be written, and then these: all or nothing. @returns why not, or null */
  #commit(more: readonly Draft[]): JournalUnwritable | null {
    if (this.#unwritable !== null || this.#chain === null) {
      const failure = new JournalUnwritable(this.#unwritable ?? 'it is not open', this.#unwritableCode);
      this.#lastFailure = failure;
      return failure;
    }
    const { dropped } = this.#unwritten;
    const gap =
      dropped === 0
        ? []
        : [this.#draft('note', 'journal.gap', { message: `${dropped} entries could not be kept` }, false)];
    const drafts = [...gap, ...this.#unwritten.list, ...more];
    let entries: readonly JournalEntry[];
    try {
      entries = this.#chain.append(drafts);
    } catch (error) {
      const failure = new JournalUnwritable(saidBy(error), codeOf(error) ?? 'EIO');
      if (failure.code !== 'ENOSPC') this.#refuse(failure.reason, error);
      this.#lastFailure = failure;
      return failure;
    }
    this.#unwritten.clear();
    for (const entry of entries) this.events.emit('entry', entry);
    return null;
  }
}
