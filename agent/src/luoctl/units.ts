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

/** One line of text with every control character shown instead of obeyed. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
  });
}

/** A phase, kind, verdict or outcome in plain words: `cold_boot` gives `cold boot`. */
export function words(name: string): string {
  return name.replaceAll('_', ' ');
}

/** `1 descriptor`, `2 descriptors`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
