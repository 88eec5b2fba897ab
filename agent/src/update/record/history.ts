// SPDX-License-Identifier: Apache-2.0
/**
 * Live updates as the journal tells of them. An update's record is written whole into three kinds of entries:
 * when it starts, when its kexec is announced, and when it is settled. The newest counts. There is no second
 * table to disagree with the journal. A further entry says that an update has arrived in the next kernel.
 */

import { Refusal } from '../../host/refusal.ts';
import type { MachineRun, Update } from '../../interface/agent.generated.ts';
import {
  type EntryFields,
  type Journal,
  type JournalEntry,
  type JournalReader,
  unlessUnreadable,
} from '../../journal/index.ts';
import { listed } from './listed-updates.ts';
import { readRecord } from './stored-record.ts';

export const recordEntries = {
  started: 'update.started',
  announced: 'update.kexec',
  arrived: 'update.arrived',
  settled: 'update.settled',
} as const;

export class History {
  readonly #journal: Journal;
  readonly #reader: JournalReader;
  /** The last one that ended here: a full disk may keep its end from being written for a while. */
  #settled: Update | null = null;

  constructor(journal: Journal, reader: JournalReader) {
    this.#journal = journal;
    this.#reader = reader;
  }

  /** The last updates, newest first; none if the journal cannot be read. */
  get last(): Update[] {
    return unlessUnreadable(() => this.list(10, null).updates, []);
  }

  /** The machines of the last updates, those of the newest first. */
  get lastRuns(): MachineRun[] {
    return this.last.flatMap(({ machines }) => machines);
  }

  /** Writes that an update has started. @throws JournalUnwritable */
  started(record: Update, fields: EntryFields): void {
    this.#journal.note(recordEntries.started, {
      ...fields,
      update: record.id,
      parameters: { ...fields.parameters, record },
    });
  }

  /** Announces the kexec: on disk once this returns. Its result is written by whoever is there to see it. @throws JournalUnwritable */
  announced(record: Update, fields: EntryFields): void {
    this.#journal.announce(recordEntries.announced, {
      ...fields,
      update: record.id,
      parameters: { record },
    });
  }

  /**
   * Writes how an update ended, and with it the result of the announced kexec, if there was one: how long it took
   * from the announcement to the end, and the errno it failed with. It has ended in any case: what cannot be written now is
   * written later, and is known here meanwhile.
   */
  settled(record: Update, errno: string | null = null): void {
    const announcement = this.#reader.newestReadable({ name: recordEntries.announced, update: record.id });
    if (announcement?.kind === 'act') {
      const said = new Error(`${record.outcome}: ${record.reason}`);
      const failure = record.outcome === 'updated' ? null : Object.assign(said, errno && { code: errno });
      const tookUs = record.endedAtUs === null ? null : record.endedAtUs - announcement.atUs;
      const fields = { update: record.id, message: record.reason, parameters: { outcome: record.outcome } };
      this.#journal.settle(announcement, fields, failure, tookUs);
    }
    const message = `${record.outcome}: ${record.reason}`;
    this.#settled = record;
    this.#journal.remember(recordEntries.settled, { update: record.id, message, parameters: { record } });
  }

  /** Records of updates, newest first; `before` is the id of the one to go on after. @throws Refusal UpdateNotFound */
  list(limit: number, before: string | null): { updates: Update[]; more: boolean } {
    const sequence = before === null ? null : this.#startOf(before).sequence;
    const { entries, more } = this.#reader.query(
      { name: recordEntries.started, before: sequence },
      limit,
      false,
    );
    const updates = entries.map(({ update }) => (update === null ? null : this.#newest(update)));
    return { updates: listed(updates.filter((update) => update !== null)), more };
  }

  /** @throws Refusal UpdateNotFound */
  get(id: string): Update {
    this.#startOf(id);
    const record = this.#newest(id);
    if (record === null) throw new Refusal('UpdateNotFound', { id });
    return record;
  }

  /** The id of the newest update, or null. Null too if the journal cannot be read. */
  get lastId(): string | null {
    return this.#reader.newestReadable({ name: recordEntries.started })?.update ?? null;
  }

  /** Whether somebody has said how an update ended. */
  isSettled(id: string): boolean {
    return this.#settled?.id === id || this.#has(recordEntries.settled, id);
  }

  /**
   * Writes that an update has arrived in the next kernel. Long before it is settled: a host that loses power meanwhile must
   * not be told that the kexec never ended.
   *
   * @param release of the kernel that runs now
   */
  arrived(id: string, release: string): void {
    if (this.#has(recordEntries.arrived, id)) return;
    this.#journal.remember(recordEntries.arrived, { update: id, parameters: { release } });
  }

  /**
   * The newest update if nobody has said how it ended. `announced` tells whether its kexec was, `arrived` whether it ended
   * in the next kernel.
   */
  unsettled(): { record: Update; announced: boolean; arrived: boolean } | null {
    const id = this.lastId;
    if (id === null || this.isSettled(id)) return null;
    const record = this.#newest(id);
    if (record === null) return null;
    const { announced, arrived } = recordEntries;
    return { record, announced: this.#has(announced, id), arrived: this.#has(arrived, id) };
  }

  #has(name: string, update: string): boolean {
    return this.#reader.newest({ name, update }) !== null;
  }

  #startOf(id: string): JournalEntry {
    const entry = this.#reader.newest({ name: recordEntries.started, update: id });
    if (!entry) throw new Refusal('UpdateNotFound', { id });
    return entry;
  }

  #newest(id: string): Update | null {
    if (this.#settled?.id === id) return this.#settled;
    for (const name of [recordEntries.settled, recordEntries.announced, recordEntries.started]) {
      for (const entry of this.#reader.query({ name, update: id }, 2, false).entries) {
        const record = readRecord(entry.parameters['record']);
        if (record !== null) return record;
      }
    }
    return null;
  }
}
