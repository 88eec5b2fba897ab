// SPDX-License-Identifier: Apache-2.0
/** Sizes, durations and times as people read them, in text that cannot steer a terminal. */

const sizeUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** @param bytes for example 268435456, which gives `256 MiB` */
export function size(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < sizeUnits.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${sizeUnits[unit]}`;
}

/** @param us microseconds; gives for example `45 µs`, `250 ms`, `12.3 s`, `2 min 5 s`, `3 h 4 min` or `2 d 3 h` */
export function duration(us: number): string {
  if (us < 1000) return `${us} µs`;
  if (us < 999_500) return `${us < 9950 ? (us / 1000).toFixed(1) : Math.round(us / 1000)} ms`;
  if (us < 59_950_000) return `${(us / 1_000_000).toFixed(1)} s`;
  const seconds = Math.round(us / 1_000_000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  return hours > 0 ? `${hours} h ${minutes % 60} min` : `${minutes} min ${seconds % 60} s`;
}

/** @param us microseconds; gives for example `45 µs`, `0.250 s` or `125.004 s`: the millisecond is never rounded away */
export function exactDuration(us: number): string {
  return us < 1000 ? duration(us) : `${(us / 1_000_000).toFixed(3)} s`;
}

const pad = (value: number, width = 2): string => String(value).padStart(width, '0');

/** @param us microseconds since the epoch; gives local `YYYY-MM-DD HH:MM:SS` */
export function time(us: number): string {
  const date = new Date(us / 1000);
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${clock(us).slice(0, 8)}`;
}

/** @param us microseconds since the epoch; gives local `HH:MM:SS.mmm` */
export function clock(us: number): string {
  const date = new Date(us / 1000);
  const seconds = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return `${seconds}.${pad(date.getMilliseconds(), 3)}`;
}

/** What would steer a terminal, turn the direction of writing round, or not be seen at all; two joiners are letters' own. */
const steering = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]|(?![\u200c\u200d])\p{Cf}/gu;

/** One line of text with every character that is no text shown instead of obeyed. */
export function printable(text: string): string {
  return text.replace(steering, (character) => {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`;
    return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** JSON that means the same, with those characters in JSON's own escapes: standard output may be a terminal. */
export function printableJson(json: string): string {
  const unit = (code: number): string => `\\u${code.toString(16).padStart(4, '0')}`;
  return json.replace(steering, (found) =>
    found === '\n'
      ? found
      : Array.from({ length: found.length }, (_, at) => unit(found.charCodeAt(at))).join(''),
  );
}

/** A phase, kind, verdict or outcome in plain words: `cold_boot` gives `cold boot`. */
export function words(name: string): string {
  return name.replaceAll('_', ' ');
}

/** `1 descriptor`, `2 descriptors`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
