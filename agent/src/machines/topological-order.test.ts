// SPDX-License-Identifier: Apache-2.0
/** An order by needs for any graph: right where there is one, the circle where there is none. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sortByNeeds } from './topological-order.ts';

const runs = { numRuns: 500 };

/** Any needs among up to 12 things, so cycles too. */
const anyNeeds = fc
  .integer({ min: 0, max: 12 })
  .chain((count) =>
    fc.tuple(
      ...Array.from({ length: count }, () => fc.array(fc.nat(Math.max(0, count - 1)), { maxLength: 3 })),
    ),
  );

/** Needs without a cycle: each thing needs only those before it in a shuffled list. */
const soundNeeds = fc.integer({ min: 0, max: 12 }).chain((count) => {
  const shuffled = fc.shuffledSubarray([...Array(count).keys()], { minLength: count, maxLength: count });
  const picks = fc.array(fc.array(fc.nat(100), { maxLength: 3 }), { minLength: count, maxLength: count });
  return fc.tuple(shuffled, picks).map(([list, picked]) => {
    const needs: number[][] = Array.from({ length: count }, () => []);
    for (const [place, index] of list.entries()) {
      if (place > 0) needs[index] = (picked[place] ?? []).flatMap((pick) => list[pick % place] ?? []);
    }
    return needs;
  });
});

describe('an order by needs', () => {
  it('has everything once, each after what it needs, and the first of the list among what is free', () => {
    const check = (needs: readonly (readonly number[])[]): void => {
      const { order, cycle } = sortByNeeds(needs);
      expect(cycle).toEqual([]);
      expect(order.toSorted((left, right) => left - right)).toEqual([...needs.keys()]);
      const done = new Set<number>();
      for (const next of order) {
        const free = [...needs.keys()].filter(
          (index) => !done.has(index) && (needs[index] ?? []).every((need) => done.has(need)),
        );
        expect(next).toBe(free[0]);
        done.add(next);
      }
    };
    fc.assert(fc.property(soundNeeds, check), runs);
  });

  it('is there exactly if there is no cycle, and a cycle is one', () => {
    const check = (needs: readonly (readonly number[])[]): void => {
      const { order, cycle } = sortByNeeds(needs);
      if (cycle.length === 0) {
        expect(order.length).toBe(needs.length);
        const place = new Map(order.map((index, at) => [index, at]));
        for (const [index, each] of needs.entries()) {
          for (const need of each) expect(place.get(need)).toBeLessThan(place.get(index) ?? -1);
        }
        return;
      }
      expect(order).toEqual([]);
      expect(cycle.length).toBeGreaterThanOrEqual(2);
      expect(cycle.at(-1)).toBe(cycle[0]);
      for (const [at, index] of cycle.slice(0, -1).entries()) expect(needs[index]).toContain(cycle[at + 1]);
      const members = cycle.slice(0, -1);
      expect(new Set(members).size).toBe(members.length);
      expect(cycle[0]).toBe(Math.min(...members));
    };
    fc.assert(fc.property(anyNeeds, check), runs);
  });

  it('takes a long chain and a wide fan', () => {
    const many = 20_000;
    const chain = Array.from({ length: many }, (_, index) => (index + 1 < many ? [index + 1] : []));
    expect(sortByNeeds(chain).order[0]).toBe(many - 1);
    const fan = Array.from({ length: many }, (_, index) => (index === many - 1 ? [] : [many - 1]));
    expect(sortByNeeds(fan).order.slice(0, 3)).toEqual([many - 1, 0, 1]);
  });
});
