// SPDX-License-Identifier: Apache-2.0
/** Methods about the journal. */
import * as v from 'valibot';
import { Refusal } from '../host/refusal.ts';
import { Entry, type Entry as InterfaceEntry } from '../interface/agent.generated.ts';
import type { JournalEntry } from '../journal/index.ts';
import { shorten } from '../liveupdate/tokens.ts';
import { type HandlerContext, type PeerHandlers, sharedByAll, within } from './handler-context.ts';

type JournalMethods = 'QueryJournal' | 'FollowJournal' | 'ExportJournal' | 'VerifyJournal';

const largestPage = 1000;
const usualPage = 100;
/** Characters of a text to look for. */
const longestFilter = 256;
/** Text in one reply, in characters: well below what a client takes in one message. */
const replyCharacters = 256 * 1024;

/** An entry as the interface says it. @throws v.ValiError if somebody wrote into the file what the agent never does. */
function toInterface(entry: JournalEntry): InterfaceEntry {
  return v.parse(Entry, entry);
}

/** What is looked for is short; SQLite takes no pattern of any length either. @throws Refusal InvalidValue */
function needShort(parameter: string, value: string): void {
  if (value.length <= longestFilter) return;
  const expected = `at most ${longestFilter} characters`;
  throw new Refusal('InvalidValue', { parameter, value: shorten(value), expected });
}

/** Splits entries so that each piece stays within one reply; an entry that is larger goes alone. */
function* inPieces<T>(entries: readonly T[], sizeOf: (entry: T) => number): Generator<T[]> {
  let piece: T[] = [];
  let size = 0;
  for (const entry of entries) {
    const bytes = sizeOf(entry);
    if (piece.length > 0 && size + bytes > replyCharacters) {
      yield piece;
      piece = [];
      size = 0;
    }
    piece.push(entry);
    size += bytes;
  }
  if (piece.length > 0) yield piece;
}

const jsonLength = (entry: unknown): number => JSON.stringify(entry).length;

export function journalHandlers({ reader }: HandlerContext): PeerHandlers<JournalMethods> {
  const verified = sharedByAll(() => reader.verify());
  return {
    QueryJournal: async ({ limit, ascending, ...filter }, call) => {
      for (const key of ['name', 'session', 'update', 'text'] as const) {
        if (filter[key] !== null) needShort(key, filter[key]);
      }
      const entries = within('limit', limit, 1, largestPage, usualPage);
      const page = await reader.search(filter, entries, ascending ?? false, call.signal);
      // What does not go with this reply need not be measured.
      const [first, second] = inPieces(page.entries, jsonLength);
      return { entries: (first ?? []).map(toInterface), more: page.more || second !== undefined };
    },

    FollowJournal: async ({ after }, call) => {
      for await (const entries of reader.follow(after ?? 0, call.signal)) {
        for (const piece of inPieces(entries, jsonLength))
          await call.reply({ entries: piece.map(toInterface) });
      }
      return { entries: [] };
    },

    ExportJournal: async ({ after, before }, call) => {
      for await (const entries of reader.walk({ after, before })) {
        const lines = entries.map((entry) => `${JSON.stringify(entry)}\n`);
        for (const piece of inPieces(lines, (line) => line.length))
          await call.reply({ lines: piece.join('') });
      }
      return { lines: '' };
    },

    VerifyJournal: async () => {
      const { entries, firstBad } = await verified();
      return { entries, intact: firstBad === null, firstBad };
    },
  };
}
