// SPDX-License-Identifier: Apache-2.0
/** How long ago something was, in words that the agent and luocon share. */

const units: readonly (readonly [minutes: number, name: string])[] = [
  [60 * 24, 'day'],
  [60, 'hour'],
  [1, 'minute'],
];

/** How long ago something was, roughly, for example `3 minutes ago`. @param us µs; less than a minute is `just now` */
export function agoWords(us: number): string {
  const minutes = Math.floor(us / 60e6);
  const [size, unit] = units.find(([each]) => minutes >= each) ?? [1, null];
  if (unit === null) return 'just now';
  const count = Math.floor(minutes / size);
  return `${count} ${unit}${count === 1 ? '' : 's'} ago`;
}
