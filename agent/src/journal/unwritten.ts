// SPDX-License-Identifier: Apache-2.0
/** What has happened and is not in the journal yet, in the order in which it happened. */
import type { JournalEntry } from './entry.ts';

/** Entries that are kept at most. The oldest are given up first; the journal then says how many. */
const mostKept = 1000;
/** Characters of a message in the kernel log. */
const shownOfMessage = 200;

/** An act that is announced: an entry of the journal, or one that is still to be written. */
export type Announced = Readonly<Pick<JournalEntry, 'name' | 'update'>> & {
  readonly sequence: number | null;
};

/** An entry before it has its place in the chain. */
export interface Draft extends Omit<JournalEntry, 'sequence' | 'answers' | 'previousHash' | 'hash'> {
  /** Whether what it announces may not be done without it. */
  readonly mustBeWritten: boolean;
  readonly answers: Announced | null;
  /** Null until it is on disk. */
  sequence: number | null;
  /** Whether the kernel log has it. */
  isTold: boolean;
}

export class Unwritten {
  #list: Draft[] = [];
  #dropped = 0;

  get list(): readonly Draft[] {
    return this.#list;
  }

  /** How many could not be kept. */
  get dropped(): number {
    return this.#dropped;
  }

  get isEmpty(): boolean {
    return this.#list.length === 0;
  }

  add(drafts: readonly Draft[]): void {
    this.#list.push(...drafts);
    const surplus = this.#list.length - mostKept;
    if (surplus <= 0) return;
    this.#list = this.#list.slice(surplus);
    this.#dropped += surplus;
  }

  clear(): void {
    this.#list = [];
    this.#dropped = 0;
  }
}

/** What happened, in one line for the kernel log. */
export function lineOf({ kind, name, session, ok, message }: Draft): string {
  const what = session === null ? name : `${name} of ${session}`;
  const how = kind === 'act' ? 'begun' : kind === 'note' ? 'noted' : ok === true ? 'done' : 'failed';
  return `${what} ${how}${message === '' ? '' : `, ${message.slice(0, shownOfMessage)}`}`;
}
