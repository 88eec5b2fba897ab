// SPDX-License-Identifier: Apache-2.0
/** The outcome of an update from its evidence, and the table of phases. */
import { describe, expect, it } from 'vitest';
import type { Phase, Update } from '../../interface/agent.generated.ts';
import { mayFollow, Phases, withPhase } from '../record/phases.ts';
import { decideOutcome, type Evidence } from './outcome.ts';

const record: Update = {
  id: 'u',
  startedAtUs: 1,
  endedAtUs: null,
  outcome: null,
  reason: '',
  fromRelease: 'a',
  toRelease: 'b',
  arrivedRelease: null,
  fromBootId: 'first',
  toBootId: null,
  numberBefore: 2,
  numberAfter: null,
  announcedAtUs: null,
  graceEndsAtUs: null,
  blackoutUs: null,
  blackouts: null,
  bootStretches: null,
  phases: [],
  carried: [],
  machines: [],
  refusedBy: null,
  startedBy: { uid: 0, gid: 0, pid: 1, user: 'root', command: 'sh', role: 'administrator' },
};

const evidence: Evidence = {
  bootId: 'second',
  number: 3,
  handoverFound: true,
  handoverRefused: [],
  available: true,
  explanation: '',
  indexArrived: true,
  indexProblem: null,
  sessionsAbsent: [],
};

describe('the outcome', () => {
  it.each<[string, Partial<Evidence>, string]>([
    ['the index and the next number', {}, 'updated'],
    ['the index, and a kernel that does not tell its number', { number: null }, 'updated'],
    ['the index, and a number that does not fit', { number: 5 }, 'unknown'],
    ['the index, but not every session', { sessionsAbsent: ['s (gone)'] }, 'unknown'],
    ['the index unreadable', { indexArrived: false, indexProblem: 'torn' }, 'unknown'],
    ['no index, number 0', { indexArrived: false, number: 0, handoverFound: false }, 'cold_boot'],
    [
      'no index, no number, no handover',
      { indexArrived: false, number: null, handoverFound: false },
      'cold_boot',
    ],
    [
      'a kernel without live update that found no handover',
      { indexArrived: false, number: null, handoverFound: false, available: false },
      'cold_boot',
    ],
    ['no index although there was a handover', { indexArrived: false }, 'unknown'],
    [
      'nothing to ask',
      { indexArrived: false, number: null, handoverFound: null, available: false },
      'unknown',
    ],
    [
      'a handover the kernel refused',
      { indexArrived: false, number: 0, handoverRefused: ['KHO: no'] },
      'unknown',
    ],
    ['the same boot', { bootId: 'first' }, 'aborted'],
  ])('%s', (_what, found, outcome) => {
    const decision = decideOutcome(record, { announced: true, arrived: false }, { ...evidence, ...found });
    expect(decision.outcome).toBe(outcome);
    expect(decision.reason).not.toBe('');
  });

  it('says whether the kexec had been announced', () => {
    const cold = { ...evidence, indexArrived: false, number: 0 };
    expect(decideOutcome(record, { announced: true, arrived: false }, cold).reason).toContain(
      'between the announcement',
    );
    expect(decideOutcome(record, { announced: false, arrived: false }, cold).reason).toContain(
      'before the kexec was announced',
    );
  });
});

describe('the outcome of an update that had arrived and was not settled', () => {
  const written = { announced: true, arrived: true };

  it.each<[string, Partial<Evidence>]>([
    ['number 0', { number: 0, handoverFound: false }],
    ['a kernel without live update', { number: null, handoverFound: false, available: false }],
  ])('is no cold boot after another start without a handover: %s', (_what, found) => {
    const decision = decideOutcome(record, written, { ...evidence, indexArrived: false, ...found });
    expect(decision).toMatchObject({ outcome: 'unknown', reason: expect.stringContaining('had arrived') });
  });

  it('is what the index says, where that is there', () => {
    expect(decideOutcome(record, written, evidence).outcome).toBe('updated');
  });
});

describe('phases', () => {
  const order: Phase[] = [
    'normal',
    'preserving',
    'prepared',
    'suspending',
    'kexec',
    'booting',
    'retrieving',
    'resuming',
    'finishing',
    'normal',
  ];

  it('follow each other as named, and the kexec is followed by another agent', () => {
    for (const [index, phase] of order.entries()) {
      const next = order[index + 1];
      if (next) expect(mayFollow(phase, next), `${phase} → ${next}`).toBe(phase !== 'kexec');
    }
    expect(mayFollow('normal', 'booting')).toBe(true);
  });

  it('can be aborted until the kexec and not once sessions resume', () => {
    const back = order.slice(1, -1).filter((phase) => mayFollow(phase, 'normal'));
    expect(back).toEqual([
      'preserving',
      'prepared',
      'suspending',
      'kexec',
      'booting',
      'retrieving',
      'finishing',
    ]);
  });

  it('cannot be skipped', () => {
    const phases = new Phases(() => 1);
    expect(() => phases.enter('kexec')).toThrow('phase kexec cannot follow normal');
    expect(phases.phase).toBe('normal');
  });

  it('end where the next begins', () => {
    let timings = withPhase([], 'preserving', 10);
    timings = withPhase(timings, 'prepared', 25);
    expect(withPhase(timings, 'normal', 40)).toEqual([
      { phase: 'preserving', startedAtUs: 10, durationUs: 15 },
      { phase: 'prepared', startedAtUs: 25, durationUs: 15 },
    ]);
  });
});
