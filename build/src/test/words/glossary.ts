// SPDX-License-Identifier: Apache-2.0
/**
 * The words not to say, out of docs/GLOSSARY.md: everything in double quotes in a table's column "do not say".
 * There `call/calls` means either word and `…` up to four words.
 */
import { lexer, type Tokens } from 'marked';

/** One thing not to say. */
export interface Unsaid {
  /** As the glossary writes it. */
  readonly phrase: string;
  readonly pattern: RegExp;
}

const heading = 'do not say';

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** A phrase as a pattern. Words in capitals are looked for in capitals only: "VM" is not in "vm". */
function patternOf(phrase: string): RegExp {
  const words = phrase.split(/\s+/);
  const pieces = words.map((word) =>
    word === '…' ? '(?:\\S+\\s+){0,4}?' : `(?:${word.split('/').map(escaped).join('|')})`,
  );
  const joined = pieces.reduce((whole, piece, at) =>
    words[at - 1] === '…' ? whole + piece : `${whole}\\s+${piece}`,
  );
  const flags = /[a-z]{2}/.test(phrase) ? 'iu' : 'u';
  return new RegExp(`(?<![\\p{L}\\p{N}_-])${joined}(?![\\p{L}\\p{N}_-])`, flags);
}

/**
 * @param glossary the text of docs/GLOSSARY.md
 * @returns what is not to be said, in the glossary's order
 * @throws Error if it names nothing: a check that looks for nothing would always pass
 */
export function unsaidIn(glossary: string): Unsaid[] {
  const tables = lexer(glossary).filter((token): token is Tokens.Table => token.type === 'table');
  const phrases = tables.flatMap(({ header, rows }) => {
    const column = header.findIndex(({ text }) => text === heading);
    return rows.flatMap((row) => [...(row[column]?.text ?? '').matchAll(/"([^"]+)"/g)].map(([, it]) => it));
  });
  const found = phrases.flatMap((phrase) =>
    phrase === undefined ? [] : [{ phrase, pattern: patternOf(phrase) }],
  );
  if (found.length === 0) throw new Error(`docs/GLOSSARY.md: no column "${heading}" with a phrase in quotes`);
  return found;
}
