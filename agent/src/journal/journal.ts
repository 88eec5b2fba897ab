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
 * Until it is opened nothing touches its disk, which may hang: what gives back is done, and noted in memory.
 *
 * A database that is damaged, or was written by a newer agent, is not moved aside and not repaired: it is evidence. The
 * journal then refuses to write and says why; an operator decides what happens to the file. That is also so for damage
 * that is found only when an entry is read.
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
  readonly #path: string;
  readonly #context: JournalContext;
  #database: JournalDatabase | null = null;
  #chain: Chain | null = null;
  readonly #unwritten = new Unwritten();
  #unwritable: string | null = null;
  #unwritableCode = 'EIO';
  #lastFailure: JournalUnwritable | null = null;
  #notWritten = 0;
  #again: NodeJS.Timeout | null = null;
  /** Whether nothing is written that need not be on disk at once. */
  #isHeld = false;
  /** What is to be written as one; null outside of that. */
  #together: Draft[] | null = null;

  /** @param path the database file, which is not touched before `open` */
  constructor(path: string, context: JournalContext) {
    this.#path = path;
    this.#context = context;
  }

  /**
   * Opens the file, and writes nothing yet: what has happened before is written with the next entry, or by `catchUp`. A
   * file that cannot be used does not throw: see `unwritable`.
   */
  open(): this {
    try {
      const database = openJournalDatabase(this.#path);
      this.#database = database;
      this.#chain = new Chain(database);
    } catch (error) {
      this.#giveUp(`${this.#path}: ${saidBy(error)}`, error);
    }
    return this;
  }

  /**
   * Something in the file cannot be read. It is evidence, and nothing is written behind it any more.
   *
   * @param error what reading failed with
   */
  distrust(error: unknown): void {
    if (this.#unwritable === null)
      this.#giveUp(`${this.#path} is damaged, or cannot be read: ${saidBy(error)}`, error);
  }

  /** Why nothing can be written, or null if all is well. Null too before it is opened. */
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

  /** Writes what has happened and is not on disk yet, now or once that is possible. */
  catchUp(): void {
    if (this.#again !== null) clearTimeout(this.#again);
    this.#tryAgain();
  }

  /**
   * Writes nothing from now on that need not be on disk at once, because machines are stopped: a disk that hangs would hold
   * up everything else, the limits of waits too.
   */
  hold(): void {
    this.#isHeld = true;
  }

  /** Writes what has happened since. */
  goOn(): void {
    this.#isHeld = false;
    this.catchUp();
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

  /** Refuses, and tells of what was still to be written: that is kept no longer. */
  #giveUp(reason: string, error: unknown): void {
    this.#refuse(reason, error);
    if (this.#unwritten.isEmpty) return;
    this.#lastFailure = new JournalUnwritable(reason, this.#unwritableCode);
    this.#notWritten += 1;
    this.#tell(this.#unwritten.list, reason);
    this.#unwritten.clear();
  }

  #tell(drafts: readonly Draft[], why: string): void {
    for (const draft of drafts) {
      if (!draft.isTold) this.#context.notWritten(lineOf(draft), why);
      draft.isTold = true;
    }
  }

  get #isOpened(): boolean {
    return this.#chain !== null || this.#unwritable !== null;
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
    if (this.#isHeld && this.#unwritable === null && !drafts.some(({ mustBeWritten }) => mustBeWritten)) {
      this.#unwritten.add(drafts);
      return;
    }
    const failure = this.#commit(drafts);
    if (failure === null) return;
    if (drafts.some(({ mustBeWritten }) => mustBeWritten)) throw failure;
    if (this.#unwritable === null) this.#unwritten.add(drafts);
    // Nothing has failed: it is written as soon as the file is open.
    if (!this.#isOpened) return;
    this.#notWritten += 1;
    this.#tell([...this.#unwritten.list, ...drafts], failure.reason);
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
      const failure = new JournalUnwritable(this.#unwritable ?? 'it is not open yet', this.#unwritableCode);
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
