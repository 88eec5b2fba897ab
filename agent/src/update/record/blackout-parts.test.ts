// SPDX-License-Identifier: Apache-2.0
/** What the record has of a machine's way back. */
import * as fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { sampleUpdate } from '../../client/fake-agent.fixture.ts';
import { MachineRun } from '../../interface/agent.generated.ts';
import { wayBackOf } from './blackout-parts.ts';
import { readRecord } from './stored-record.ts';

/** The first machine was stopped 2 s before the next kernel's clock began. */
const since = { kernelStartedAtUs: 12_000_000, firstUs: 10_000_000 };

const run = {
  ...{ name: 'one', pid: 7, newPid: null, way: 'cpr', session: 'machine:one', stage: 'held', detail: '' },
  ...{ brownoutUs: null, suspendedAtUs: 10_000_000, blackoutUs: null, parts: [] },
} as const;

describe('what a machine waited for', () => {
  it('is counted from the first machine that was stopped, like the parts', () => {
    const waited = [{ what: '/srv to be mounted', fromNs: 1_500_000_900, untilNs: 4_250_001_000 }];
    const done = [{ what: 'mounted /srv', times: 1, doneNs: 4_250_001_000 }];
    expect(wayBackOf([{ waited, done, failedAt: null }], since)).toEqual({
      waits: [{ what: '/srv to be mounted', startedAtUs: 3_500_000, durationUs: 2_750_001 }],
      instructions: [{ what: 'mounted /srv', times: 1, doneAtUs: 6_250_001 }],
      failedAt: null,
    });
  });

  it('has all attempts in the order of time, and the last one says where it failed', () => {
    const attempt = (ns: number, failedAt: string) => ({
      waited: [{ what: String(ns), fromNs: ns, untilNs: null }],
      ...{ done: [], failedAt },
    });
    const { waits, failedAt } = wayBackOf(
      [attempt(9000, 'mounted /a'), attempt(5000, 'connect /b'), attempt(7000, 'mounted /c')],
      since,
    );
    expect([waits.map(({ what }) => what), failedAt]).toEqual([['5000', '7000', '9000'], 'mounted /c']);
    expect(waits[0]).toMatchObject({ durationUs: null });
    expect(wayBackOf([], since)).toEqual({ waits: [], failedAt: null, instructions: [] });
  });

  it('is always something that a reader of the record takes, and bounded', () => {
    const ns = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
    const text = fc.string({ unit: 'binary', maxLength: 300 });
    const wait = fc.record({ what: text, fromNs: ns, untilNs: fc.option(ns) });
    const log = fc.record({
      waited: fc.array(wait, { maxLength: 64 }),
      done: fc.array(fc.record({ what: text, times: fc.nat(), doneNs: ns }), { maxLength: 100 }),
      failedAt: fc.option(text),
    });
    fc.assert(
      fc.property(fc.array(log, { maxLength: 4 }), (logs) => {
        const way = wayBackOf(logs, since);
        const whole = { ...run, ...way, stateBytes: 7 };
        expect(v.parse(MachineRun, JSON.parse(JSON.stringify(whole)))).toEqual(
          JSON.parse(JSON.stringify(whole)),
        );
        expect(readRecord({ ...sampleUpdate, machines: [whole] })?.machines).toEqual([whole]);
        expect(way.waits.length).toBeLessThanOrEqual(100);
        expect(way.instructions.length).toBeLessThanOrEqual(200);
      }),
      { numRuns: 50 },
    );
  });

  it('is unknown in the record of an agent that did not keep it', () => {
    const { bootStretches: _, ...older } = sampleUpdate;
    expect(readRecord(older)).toEqual({ ...older, bootStretches: null });
    expect(readRecord({ ...sampleUpdate, machines: [run] })?.machines).toEqual([
      { ...run, waits: null, failedAt: null, instructions: null, stateBytes: null },
    ]);
  });
});
