// SPDX-License-Identifier: Apache-2.0
/** Methods about the journal. */
import * as v from 'valibot';
import { Entry, type Entry as InterfaceEntry } from '../interface/agent.generated.ts';
import type { JournalEntry } from '../journal/index.ts';
import { type HandlerContext, type PeerHandlers, within } from './handler-context.ts';

type JournalMethods = 'QueryJournal' | 'FollowJournal' | 'ExportJournal' | 'VerifyJournal';

const largestPage = 1000;
const usualPage = 100;
/** Text in one reply, in characters: well below what a client takes in one message. */
const replyCharacters = 256 * 1024;

/** An entry as the interface says it. @throws v.ValiError if somebody wrote into the file what the agent never does. */
function toInterface(entry: JournalEntry): InterfaceEntry {
  return v.parse(Entry, entry);
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
  return {
    QueryJournal: async ({ limit, ascending, ...filter }) => {
      const page = reader.query(
        filter,
        within('limit', limit, 1, largestPage, usualPage),
        ascending ?? false,
      );
      const [first, second] = [...inPieces(page.entries, jsonLength)];
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
      const { entries, firstBad } = await reader.verify();
      return { entries, intact: firstBad === null, firstBad };
    },
  };
}
