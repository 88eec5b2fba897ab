// SPDX-License-Identifier: Apache-2.0
/** Numbers and names in the sentences that the agent says to people. */

const mebibyte = 1024 * 1024;

/** A number with its noun: `1 session`, `2 sessions`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** An amount of memory, rounded up: `256 MiB`; below one mebibyte in bytes. */
export function inMebibytes(bytes: number): string {
  return Math.abs(bytes) < mebibyte ? counted(bytes, 'byte') : `${Math.ceil(bytes / mebibyte)} MiB`;
}

/** A time, rounded up: `3 minutes`; a minute or less in seconds. */
export function inMinutes(seconds: number): string {
  return seconds <= 60 ? counted(Math.ceil(seconds), 'second') : counted(Math.ceil(seconds / 60), 'minute');
}

/**
 * Text from elsewhere in a form that can be shown and logged: what would steer a terminal, break a line, turn the
 * direction of writing round or not be seen at all becomes U+FFFD.
 */
export function visible(text: string): string {
  return text.toWellFormed().replace(unseen, '\ufffd');
}

/** Control and format characters, line and paragraph separators. */
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Whether a text has nothing that `visible` would replace. */
export function isVisible(text: string): boolean {
  return text.isWellFormed() && text.search(unseen) < 0;
}
