// SPDX-License-Identifier: Apache-2.0
/**
 * Cuts an interface description into tokens. Line ends mean nothing except that they end comments; a comment
 * belongs to the token after it, unless a blank line stands between.
 */
import { DescriptionError } from './syntax.ts';

export interface Token {
  /** The word or punctuation itself; empty at the end of the text. */
  readonly text: string;
  readonly line: number;
  /** The comment lines directly above, without `#` and the space after it. */
  readonly comment: readonly string[];
}

// A hyphen is part of a word only between its letters (interface names have them), so that `->` stays a token.
const pattern = /([ \t\r]+)|(\n)|#([^\n]*)|(->|[()[\]:,?])|([A-Za-z0-9_.]+(?:-+[A-Za-z0-9_.]+)*)/y;

/**
 * @param text the description
 * @param file its name, for messages
 * @returns the tokens, the last of which has an empty `text`
 * @throws DescriptionError for a character that no token begins with
 */
export function tokenize(text: string, file: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  let comment: string[] = [];
  let lineIsBlank = true;
  pattern.lastIndex = 0;
  while (pattern.lastIndex < text.length) {
    const at = pattern.lastIndex;
    const match = pattern.exec(text);
    if (match === null) {
      throw new DescriptionError(
        file,
        line,
        `unexpected character ${JSON.stringify(text[at])}; expected a word, a comment or one of -> ( ) [ ] : , ?`,
      );
    }
    const [, blank, newline, remark, punctuation, word] = match;
    if (newline !== undefined) {
      if (lineIsBlank) comment = [];
      line += 1;
      lineIsBlank = true;
    } else if (remark !== undefined) {
      comment.push(remark.replace(/^ /, '').trimEnd());
      lineIsBlank = false;
    } else if (blank === undefined) {
      tokens.push({ text: punctuation ?? word ?? '', line, comment });
      comment = [];
      lineIsBlank = false;
    }
  }
  tokens.push({ text: '', line, comment });
  return tokens;
}
