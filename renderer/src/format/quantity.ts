// SPDX-License-Identifier: Apache-2.0
/**
 * Numbers for people: sizes in binary units, durations in a unit that fits, ages in words. The exact value belongs
 * in the title of the element that shows one.
 */

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** A size in bytes: `256 MiB`, `1.5 GiB`, `512 B`. Three significant digits at most, none invented. */
export function size(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = Number.isInteger(value) || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${Number(value.toFixed(digits))} ${units[unit]}`;
}

/** A whole number with its thousands set apart. */
export function count(value: number): string {
  return value.toLocaleString('en-US').replaceAll(',', ' ');
}

/** `count` and the noun in the right number: `1 session`, `2 sessions`. */
export function counted(value: number, noun: string, plural = `${noun}s`): string {
  return `${count(value)} ${value === 1 ? noun : plural}`;
}

/** A duration in microseconds: `340 µs`, `4.2 ms`, `12.4 s`, `3 min 07 s`, `2 h 05 min`, `3 d 4 h`. */
export function duration(us: number): string {
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 1_000_000) return `${(us / 1000).toFixed(us < 10_000 ? 1 : 0)} ms`;
  const seconds = us / 1_000_000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** A duration in microseconds without fractions, for text that ticks: `9 s`, `4 min 10 s`, `2 h 05 min`. */
export function roughDuration(us: number): string {
  const seconds = Math.floor(us / 1_000_000);
  return seconds < 60 ? `${seconds} s` : duration(seconds * 1_000_000);
}

/** A duration in microseconds to the millisecond: `12.412 s`, `0.003 s`; below one in microseconds: `340 µs`. */
export function preciseDuration(us: number): string {
  return us < 1000 ? duration(us) : `${(us / 1_000_000).toFixed(3)} s`;
}

/** The exact duration, for a title: `12 412 033 µs`. */
export function exactDuration(us: number): string {
  return `${count(Math.round(us))} µs`;
}

/** An age in microseconds, coarse because it ticks: `now`, `12 s`, `3 min`, `2 h`, `5 d`. */
export function age(us: number): string {
  const seconds = Math.floor(us / 1_000_000);
  if (seconds < 1) return 'now';
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** A running counter in microseconds, one digit after the point: `0:07.4`, `12:03.0`. */
export function counter(us: number): string {
  const tenths = Math.max(0, Math.floor(us / 100_000));
  const seconds = Math.floor(tenths / 10);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}.${tenths % 10}`;
}

/** The beginning of a digest or hash, enough to tell two apart by eye. */
export function shortDigest(digest: string): string {
  return digest.length > 12 ? `${digest.slice(0, 12)}…` : digest;
}
