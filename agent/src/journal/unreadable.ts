// SPDX-License-Identifier: Apache-2.0
/** What is thrown for an entry that cannot be read. */
import { saidBy } from '../host/said-by.ts';

/** What SQLite says of a file, or of the disk it is on: not of a question that is wrong. */
const damage = /^SQLITE_(CORRUPT|NOTADB|IOERR)/;

/** Whether reading failed because of the file: an entry in it is no JSON any more, or SQLite finds no sense in it. */
export function isDamage(error: unknown): boolean {
  if (error instanceof SyntaxError) return true;
  return error instanceof Error && 'code' in error && damage.test(String(error.code));
}

/** The journal cannot be read, at least where it was asked. */
export class JournalUnreadable extends Error {
  override readonly name = 'JournalUnreadable';

  /** @param cause what reading failed with */
  constructor(cause: unknown) {
    super(`the journal is damaged, or cannot be read: ${saidBy(cause)}`, { cause });
  }
}

/** What `read` gives, or something instead where the journal cannot be read. */
export function unlessUnreadable<T>(read: () => T, instead: T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof JournalUnreadable) return instead;
    throw error;
  }
}
