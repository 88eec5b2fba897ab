// SPDX-License-Identifier: Apache-2.0
/** Points in time: local, without the date if it is today's; exact to the microsecond in titles. */

const timeOnly = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const dateAndTime = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});
const withYear = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  year: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
});

function sameDay(one: Date, other: Date): boolean {
  return one.toDateString() === other.toDateString();
}

/**
 * Local time of `us` (µs since the epoch): `14:03:22` today, `3 Nov, 14:03:22` this year, with the year before.
 * @param nowUs the present, in the same unit
 */
export function localTime(us: number, nowUs: number): string {
  const then = new Date(us / 1000);
  const now = new Date(nowUs / 1000);
  if (sameDay(then, now)) return timeOnly.format(then);
  return then.getFullYear() === now.getFullYear() ? dateAndTime.format(then) : withYear.format(then);
}

/** The exact time, for titles: ISO 8601 in UTC with all six digits of the microseconds. */
export function exactTime(us: number): string {
  const iso = new Date(Math.floor(us / 1000)).toISOString();
  return `${iso.slice(0, 23)}${String(us % 1000).padStart(3, '0')}Z`;
}
