// SPDX-License-Identifier: Apache-2.0
/**
 * Things that need one another, put in an order in which each comes after what it needs. There may be many such
 * orders; this gives the one in which, of all that could come next, the first of the list does. So the same
 * things always come in the same order, and what nothing demands otherwise stays as it was listed.
 */

/** Positions in the list. One of the two is empty, unless the list was. */
export interface Sorted {
  readonly order: readonly number[];
  /** Each needs the next; begins with the first of the list that is in it, and ends with that one again. */
  readonly cycle: readonly number[];
}

/**
 * @param needs for each thing the positions of those it needs. A position may be repeated; one that needs itself is
 *   a cycle of one.
 */
export function sortByNeeds(needs: readonly (readonly number[])[]): Sorted {
  const wanted = needs.map((each) => new Set(each));
  const wanting: number[][] = needs.map(() => []);
  for (const [index, each] of wanted.entries()) for (const need of each) wanting[need]?.push(index);
  const missing = wanted.map(({ size }) => size);
  // Backwards, so that the first is taken off the end.
  const free = [...missing.keys()].filter((index) => missing[index] === 0).reverse();
  const order: number[] = [];
  for (let next = free.pop(); next !== undefined; next = free.pop()) {
    order.push(next);
    for (const index of wanting[next] ?? []) {
      const left = (missing[index] ?? 0) - 1;
      missing[index] = left;
      if (left === 0) free.splice(placeIn(free, index), 0, index);
    }
  }
  return order.length === needs.length
    ? { order, cycle: [] }
    : { order: [], cycle: cycleIn(wanted, missing) };
}

/** Where an index belongs in a list that falls. */
function placeIn(falling: readonly number[], index: number): number {
  let [from, to] = [0, falling.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((falling[middle] ?? 0) > index) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** What never became free needs something else that did not: following that leads round. */
function cycleIn(wanted: readonly ReadonlySet<number>[], missing: readonly number[]): number[] {
  const stuck = (index: number): boolean => (missing[index] ?? 0) > 0;
  const path = new Map<number, number>();
  let at = missing.findIndex((_, index) => stuck(index));
  while (!path.has(at)) {
    path.set(at, path.size);
    at = Math.min(...[...(wanted[at] ?? [])].filter(stuck));
  }
  const round = [...path.keys()].slice(path.get(at));
  const start = round.indexOf(Math.min(...round));
  const turned = [...round.slice(start), ...round.slice(0, start)];
  return [...turned, ...turned.slice(0, 1)];
}
