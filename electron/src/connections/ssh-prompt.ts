// SPDX-License-Identifier: Apache-2.0
/**
 * Decides from ssh's output whether ssh waits for a person. Its questions (a host key, a passphrase, a
 * password, a second factor) leave the cursor behind them. Everything else it says ends with a line feed.
 */

// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
const escapeSequence = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)/g;

/** Whether `printed`, all that ssh has printed so far, ends in an unanswered question. */
export function asksSomething(printed: string): boolean {
  const line = printed.replace(escapeSequence, '').split('\n').at(-1) ?? '';
  return line.replaceAll('\r', '').trim() !== '';
}

/** The last thing ssh said, for a person: why it ended. Empty if it said nothing. */
export function lastWords(printed: string): string {
  const lines = printed.replace(escapeSequence, '').split(/[\r\n]+/);
  return lines.findLast((line) => line.trim() !== '')?.trim() ?? '';
}

/** Lines of ssh's that are shown at most: a changed host key is announced in a dozen. */
const shownLines = 20;

/** All that ssh said before it ended, without empty lines and lines of nothing but `@`. Empty if it said nothing. */
export function allWords(printed: string): string {
  const lines = printed.replace(escapeSequence, '').split(/[\r\n]+/);
  const said = lines.map((line) => line.trim()).filter((line) => !/^@*$/.test(line));
  return said.slice(-shownLines).join('\n');
}
