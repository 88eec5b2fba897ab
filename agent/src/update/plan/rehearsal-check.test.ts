// SPDX-License-Identifier: Apache-2.0
/** The preflight check of rehearsals: one that failed keeps its machine from being carried over, unless it is named. */
import { describe, expect, it } from 'vitest';
import type { PlannedMachine, Rehearsal } from '../../interface/agent.generated.ts';
import { plannedMachine } from './planned-machine.fixture.ts';
import { rehearsalCheck } from './rehearsal-check.ts';

const minuteUs = 60_000_000;
const passed: Rehearsal = {
  ...{ atUs: 1, problem: null, startUs: 600_000, loadUs: 40_000, stoppedUs: 60_000, left: [], changed: [] },
};
const failed: Rehearsal = { ...passed, problem: 'no such disk', loadUs: null };

const check = (
  results: Record<string, Rehearsal | null>,
  despite: number[] = [],
  { changes = {}, nowUs = 1 }: { changes?: Partial<PlannedMachine>; nowUs?: number } = {},
) => {
  const machines = Object.keys(results).map((name, at) =>
    plannedMachine(name, { pid: at + 1, way: 'named_memory', ...changes }),
  );
  const of = async (session: string) => results[session.replace('machine:', '')] ?? null;
  return rehearsalCheck(machines, despite, of, nowUs);
};

describe('the check of rehearsals', () => {
  it('passes with figures, and says how old they are', async () => {
    expect(await check({ web: passed })).toEqual([
      'pass',
      'web was rehearsed just now: its VMM started in 0.6 s and loaded its state in 0.04 s',
    ]);
    expect((await check({ web: passed }, [], { nowUs: 49 * 60 * minuteUs }))[1]).toContain(
      'rehearsed 2 days ago',
    );
    expect(await check({})).toEqual(['pass', 'no machine is carried over']);
  });

  it('passes where its way allows no more than the start, and warns where the state could not be loaded', async () => {
    const started = { ...passed, loadUs: null, left: ['loading its state: why'] };
    const words = '; its state was not loaded (loading its state: why)';
    expect(await check({ web: started }, [], { changes: { way: 'cpr' } })).toEqual([
      'pass',
      expect.stringContaining(words),
    ]);
    expect(await check({ web: started })).toEqual(['warn', expect.stringContaining(words)]);
  });

  it('fails with a machine whose rehearsal failed, in the words of that', async () => {
    const [verdict, detail] = await check({ web: failed, db: passed }, [], { nowUs: 3 * minuteUs + 1 });
    expect([verdict, detail]).toEqual([
      'fail',
      expect.stringContaining('web failed its rehearsal 3 minutes ago: no such disk. '),
    ]);
    expect(detail).not.toContain('db');
  });

  it('only warns of one that was named, and does not look at one that is left behind', async () => {
    expect(await check({ web: failed }, [1])).toEqual([
      'warn',
      'web failed its rehearsal just now, and is carried over all the same, as you chose: no such disk',
    ]);
    expect((await check({ web: failed, db: failed }, [1]))[0]).toBe('fail');
    expect((await check({ web: failed }, [], { changes: { leave: true } }))[0]).toBe('pass');
  });

  it('says what is another since: a pass does not count then, and a failure still does', async () => {
    const changed = ['its program', 'its devices'];
    expect(await check({ web: { ...passed, changed } })).toEqual([
      'warn',
      'web was rehearsed just now, which does not count any more: its program, its devices changed since',
    ]);
    expect(await check({ web: { ...failed, changed } })).toEqual([
      'fail',
      expect.stringContaining(': no such disk (its program, its devices changed since). '),
    ]);
  });

  it('warns of one that was not rehearsed, or could not be', async () => {
    expect(await check({ web: null })).toEqual(['warn', 'web has not been rehearsed']);
    expect(
      await check({ web: { ...passed, startUs: null, loadUs: null, left: ['its monitor is busy'] } }),
    ).toEqual(['warn', 'web was not rehearsed: its monitor is busy']);
  });
});
