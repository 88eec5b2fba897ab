// SPDX-License-Identifier: Apache-2.0
/** The measures of an update's timeline in pixels, and where each thing goes in it. */

import type { Span } from './span.ts';

export const lane = 26;
/** Below a lane: what its machine waited for. */
export const waitRow = 17;
/** Left of the bars, for names. */
export const left = 104;
/** Right of the bars, for lengths that do not fit elsewhere. */
export const right = 112;
/** A character is seven pixels at most. */
export const character = 7;

/** Where a time lies on an axis. */
export interface Axis {
  span: Span;
  /** Pixels for a µs. */
  scale: number;
  x: (us: number) => number;
  ticks: number[];
}

/** An axis of a time span across a picture of that width. */
export function axisOf(span: Span, width: number): Axis {
  const whole = Math.max(1, span.endUs - span.startUs);
  const scale = Math.max(50, width - left - right) / whole;
  return {
    span,
    scale,
    x: (us) => left + (us - span.startUs) * scale,
    ticks: axisTicks(whole, Math.max(2, Math.floor(width / 150))),
  };
}

/** Beside a bar from `from` to `to`: behind it, or before it where it would leave the picture. */
export function labelPlace(
  words: string,
  from: number,
  to: number,
  width: number,
): { x: number; anchor: 'start' | 'end' } {
  const length = character * words.length;
  return to + 7 + length > width && from - 7 - length > left
    ? { x: from - 7, anchor: 'end' }
    : { x: to + 7, anchor: 'start' };
}

/** A name that fits left of the bars. */
export function laneName(name: string): string {
  const most = Math.floor((left - 14) / character);
  return name.length > most ? `${name.slice(0, most - 1)}…` : name;
}

/** What the legend explains: a key's look, and its words. */
export interface LegendItem {
  kind: string;
  /** What stands in the key. */
  text: string;
  words: string;
  /** In a row by itself: it is long. */
  alone?: boolean;
}

export interface PlacedItem extends LegendItem {
  x: number;
  y: number;
}

/** Words of a legend are not cut to fewer characters. */
const leastWords = 60;

/** The items of a legend in rows of at most `width`. Words that have a row by themselves are cut to fit. @returns their places and the height of all rows */
export function placeLegend(
  items: readonly LegendItem[],
  width: number,
): { placed: PlacedItem[]; height: number } {
  const placed: PlacedItem[] = [];
  let x = left;
  let y = 0;
  for (const each of items) {
    const beside = each.text ? 56 : 45;
    const most = each.alone ? Math.max(leastWords, Math.floor((width - left - beside) / 6)) : Infinity;
    const { words } = each;
    const item = words.length > most ? { ...each, words: `${words.slice(0, most - 1)}…` } : each;
    const length = beside + 6 * item.words.length;
    if (x > left && (item.alone || x + length > width)) {
      x = left;
      y += 20;
    }
    placed.push({ ...item, x, y });
    x += item.alone ? width : length;
  }
  return { placed, height: items.length === 0 ? 0 : y + 20 };
}

/** The ends of the axis's divisions between 0 and `span` µs: about `wanted` of them, at round figures. */
export function axisTicks(span: number, wanted: number): number[] {
  const rough = span / Math.max(1, wanted);
  const magnitude = 10 ** Math.floor(Math.log10(Math.max(1, rough)));
  const stepUs =
    [1, 2, 5, 10].map((factor) => factor * magnitude).find((candidate) => candidate >= rough) ?? rough;
  return Array.from({ length: Math.floor(span / stepUs) + 1 }, (_, at) => at * stepUs);
}
