// SPDX-License-Identifier: Apache-2.0
/**
 * The absolute paths that a VMM's words name: of disks, sockets, logs and firmware. The words are a hint,
 * and a guest's owner may have chosen them. So this only reads text, in time proportional to its length.
 */
import { optionOf, takenWhole } from '../../qemu/command-line.ts';

/** A path at the beginning, or behind `key=` or `unix:`; a doubled comma is part of it. */
const path = /(?:^|[=:])(\/(?:,,|[^,])*)/g;
/** In JSON a comma is a comma. */
const pathInJson = /(?:^|[=:])(\/.*)$/s;
/** Matches to the end where there is no second quote: never goes back, whatever the text. */
const jsonString = /"(?:[^"\\]|\\.?)*"?/gs;

/** The longest path of Linux, in bytes with its NUL (PATH_MAX). */
const longestPath = 4096;

/** Each path once. */
export function pathsIn(words: readonly string[]): string[] {
  const found = words.flatMap((word, index) => {
    const begins = takenWhole(optionOf(words, index), word);
    // Such a path may have commas in it. Behind a protocol it may be a socket, which is no open file.
    if (begins !== null) {
      const whole = word.slice(begins);
      return whole.startsWith('/') ? [whole] : [...whole.matchAll(path)].map(([, each = '']) => each);
    }
    if (!word.startsWith('{'))
      return [...word.matchAll(path)].map(([, each = '']) => each.replaceAll(',,', ','));
    return [...word.matchAll(jsonString)].flatMap(([text]) => pathInJson.exec(textOf(text))?.[1] ?? []);
  });
  return [...new Set(usable(found))];
}

/** Absolute paths as they are looked at, without those that can be none. `/var/run` is a link to `/run` with systemd. */
export const usable = (paths: readonly string[]): string[] =>
  paths
    .map((each) => each.replace(/^\/var\/run\//, '/run/'))
    .filter((each) => Buffer.byteLength(each) < longestPath && !each.includes('\0'));

function textOf(json: string): string {
  try {
    return String(JSON.parse(json));
  } catch {
    return '';
  }
}

/** Whether a path lies in a directory, or is it. */
export const isWithin = (each: string, directory: string): boolean =>
  each === directory || each.startsWith(`${directory}/`);
