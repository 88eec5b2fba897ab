// SPDX-License-Identifier: Apache-2.0
/** First, mean and worst of the machines' blackouts, as measured and as expected of the next update. */
import { describe, expect, it } from 'vitest';
import type { MachineRun } from '../../interface/agent.generated.ts';
import { expectedSpread, measuredSpread } from './blackout-spread.ts';

/** A machine that waited 2 s with all others and then `ownMs` for itself. */
function run(ownMs: number, more: Partial<MachineRun> = {}): MachineRun {
  const own = { part: 'start' as const, startedAtUs: 2_000_000, durationUs: ownMs * 1000 };
  const shared = { part: 'boot' as const, startedAtUs: 0, durationUs: 2_000_000 };
  return {
    ...{ name: 'one', pid: 1, newPid: 2, way: 'cpr', session: 's', stage: 'resumed', detail: '' },
    ...{ brownoutUs: 0, suspendedAtUs: 0, blackoutUs: 2_000_000 + ownMs * 1000, parts: [shared, own] },
    ...{ waits: [], failedAt: null, instructions: null, stateBytes: null },
    ...more,
  };
}

describe('measured', () => {
  it('the first, the mean and the worst are those of the machines that run again', () => {
    const held = run(0, { stage: 'held', blackoutUs: null });
    const here = run(90_000, { newPid: 1 });
    expect(measuredSpread([run(1500), run(500), held, run(1000), here])).toEqual({
      ...{ firstUs: 2_500_000, meanUs: 3_000_000, worstUs: 3_500_000 },
    });
  });

  it('there is nothing to say where no machine runs again', () => {
    expect(measuredSpread([])).toBeNull();
    expect(measuredSpread([run(1, { stage: 'lost', blackoutUs: null })])).toBeNull();
  });
});

describe('expected', () => {
  const last = [run(500), run(500), run(1000), run(1000)];

  it('of as many machines it is what was measured', () => {
    expect(expectedSpread(last, 4, 2)).toEqual(measuredSpread(last));
  });

  it('more machines take more rounds, and what they all wait for stays', () => {
    expect(expectedSpread(last, 16, 2)).toEqual({
      ...{ firstUs: 2_500_000, meanUs: 4_250_000, worstUs: 6_000_000 },
    });
    expect(expectedSpread(last, 1, 2)).toEqual({
      ...{ firstUs: 2_500_000, meanUs: 2_500_000, worstUs: 2_500_000 },
    });
  });

  it('nothing is expected without machines, now or then', () => {
    expect(expectedSpread(last, 0, 2)).toBeNull();
    expect(expectedSpread([], 4, 2)).toBeNull();
    expect(expectedSpread([run(1, { stage: 'held', blackoutUs: null })], 4, 2)).toBeNull();
  });
});
