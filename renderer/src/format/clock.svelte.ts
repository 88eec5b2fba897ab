// SPDX-License-Identifier: Apache-2.0
/**
 * The present as a rune, so that ages and counters tick by themselves. There is a slow beat for ages and a fast
 * one for the counter of an update. Each runs only while something on the screen reads it.
 */
import { createSubscriber } from 'svelte/reactivity';

function beat(milliseconds: number): () => void {
  return createSubscriber((update) => {
    const timer = setInterval(update, milliseconds);
    return () => clearInterval(timer);
  });
}

const everySecond = beat(1000);
const everyTenth = beat(100);

/** The present in µs since the epoch; what reads it in a template or effect is brought up to date every second. */
export function nowUs(): number {
  everySecond();
  return Date.now() * 1000;
}

/** As `nowUs`, ten times a second. */
export function nowUsFast(): number {
  everyTenth();
  return Date.now() * 1000;
}
