// SPDX-License-Identifier: Apache-2.0
/** The preflight check of rehearsals: one that failed keeps its machine from being carried over, unless it is named. */
import { describe, expect, it } from 'vitest';
import type { PlannedMachine, Rehearsal } from '../../interface/agent.generated.ts';
import { rehearsalCheck } from './rehearsal-check.ts';

const machine = (name: string, pid: number, leave = false): PlannedMachine => ({
  ...{ name, pid, leave, session: `machine:${name}`, memory: 1, way: 'cpr', detail: '', risk: '' },
  ...{
    expectedBlackoutUs: null,
    measuredBlackoutUs: null,
    priority: null,
    rehearsal: null,
    saveLimitUs: null,
  },
});
const passed: Rehearsal = {
  ...{ atUs: 1, problem: null, startUs: 600_000, loadUs: 40_000, stoppedUs: 60_000, left: [] },
};
const failed: Rehearsal = { ...passed, problem: 'no such disk', loadUs: null };

const check = (results: Record<string, Rehearsal | null>, despite: number[] = [], leave = false) => {
  const machines = Object.keys(results).map((name, at) => machine(name, at + 1, leave));
  return rehearsalCheck(machines, despite, (session) => results[session.replace('machine:', '')] ?? null);
};

describe('the check of rehearsals', () => {
  it('passes with figures', () => {
    expect(check({ web: passed })).toEqual([
      'pass',
      'web was rehearsed: its VMM started in 0.6 s and loaded its state in 0.04 s',
    ]);
    expect(check({ web: { ...passed, loadUs: null } })[1]).toContain('; its state was not loaded');
    expect(check({})).toEqual(['pass', 'no machine is carried over']);
  });

  it('fails with a machine whose rehearsal failed, in the words of that', () => {
    const [verdict, detail] = check({ web: failed, db: passed });
    expect([verdict, detail]).toEqual([
      'fail',
      expect.stringContaining('web failed its rehearsal: no such disk. '),
    ]);
    expect(detail).not.toContain('db');
  });

  it('only warns of one that was named, and does not look at one that is left behind', () => {
    expect(check({ web: failed }, [1])).toEqual([
      'warn',
      'web failed its rehearsal, and is carried over all the same, as you chose: no such disk',
    ]);
    expect(check({ web: failed, db: failed }, [1])[0]).toBe('fail');
    expect(check({ web: failed }, [], true)[0]).toBe('pass');
  });

  it('warns of one that was not rehearsed, or cannot be', () => {
    expect(check({ web: null })).toEqual(['warn', 'web has not been rehearsed']);
    expect(
      check({ web: { ...passed, startUs: null, loadUs: null, left: ['all of it: it has a TPM'] } }),
    ).toEqual(['warn', 'web cannot be rehearsed: all of it: it has a TPM']);
  });
});
