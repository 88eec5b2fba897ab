// SPDX-License-Identifier: Apache-2.0
/** How long machines may be stopped, from their sizes and from what the last updates have measured. */
import { expect, it } from 'vitest';
import type { MachineRun, PlannedMachine, Way } from '../../interface/agent.generated.ts';
import { plannedMachine } from './planned-machine.fixture.ts';
import { saveLimitUs, savingCheck, usualStopLimitUs, withinLimit } from './stop-limits.ts';

const second = 1_000_000;
const gib = 2 ** 30;

const planned = (way: Way, memory: number | null, limitUs: number | null): PlannedMachine =>
  plannedMachine('db', { way, memory, leave: limitUs === null, saveLimitUs: limitUs });

/** A machine that was carried over, and was saved in this time. */
const ran = (way: Way, saveUs: number, stateBytes: number | null): MachineRun => ({
  ...{ name: 'db', pid: 1, newPid: 2, way, session: 'machine-db', stage: 'resumed', detail: '' },
  ...{ brownoutUs: 1, suspendedAtUs: 1, blackoutUs: 3 * second, waits: [], failedAt: null },
  ...{ instructions: null, stateBytes, parts: [{ part: 'save', startedAtUs: 0, durationUs: saveUs }] },
});

it('without a measurement is that of a slow host, and grows with what is copied', () => {
  expect(saveLimitUs({ way: 'cpr', memory: 64 * gib }, [])).toBe(30 * second);
  const whole = saveLimitUs({ way: 'whole_state', memory: gib }, []);
  expect(whole).toBe(30 * second + Math.ceil(gib / 100));
});

it('is far above what was measured, and never short', () => {
  expect(saveLimitUs({ way: 'cpr', memory: gib }, [ran('cpr', 40_000, 1)])).toBe(10 * second);
  const slow = [ran('cpr', 40_000, 1), ran('cpr', 3 * second, 1), ran('named_memory', 9 * second, 1)];
  expect(saveLimitUs({ way: 'cpr', memory: gib }, slow)).toBe(30 * second);
});

it('of a copy follows from the slowest rate', () => {
  const runs = [ran('whole_state', second, gib), ran('whole_state', 2 * second, gib)];
  const copyUs = Math.ceil((4 * gib) / (gib / (2 * second)));
  expect(saveLimitUs({ way: 'whole_state', memory: 4 * gib }, runs)).toBe(10 * second + 10 * copyUs);
  // What was small says nothing of a copy, as most of it was never written.
  const idle = [ran('whole_state', second / 4, 3_000_000), ...runs];
  expect(saveLimitUs({ way: 'whole_state', memory: 4 * gib }, idle)).toBe(10 * second + 10 * copyUs);
  // The record of an older agent has no size.
  const older = [ran('whole_state', second, null)];
  expect(saveLimitUs({ way: 'whole_state', memory: gib }, older)).toBe(30 * second + Math.ceil(gib / 100));
});

it('is two hours at the most, and a machine that takes longer fails the check', () => {
  const huge = { way: 'whole_state' as const, memory: 16 * 1024 * gib };
  const slow = [ran('whole_state', 1000 * second, gib)];
  expect(saveLimitUs(huge, slow)).toBe(7200 * second);
  expect(saveLimitUs({ way: 'cpr', memory: gib }, [ran('cpr', 3600 * second, 1)])).toBe(7200 * second);
  const machine = planned('whole_state', huge.memory, 7200 * second);
  expect(usualStopLimitUs([machine], 0)).toBe(7200 * second);
  expect(savingCheck([machine], 7200 * second, slow)[0]).toBe('fail');
});

it('of all is that of the slowest and of what follows, or of programs alone', () => {
  const both = [planned('cpr', gib, 10 * second), planned('cpr', gib, 30 * second)];
  expect(usualStopLimitUs(both, 0)).toBe(40 * second);
  expect(usualStopLimitUs([planned('none', gib, null)], 1)).toBe(20 * second);
  expect(usualStopLimitUs([planned('none', gib, null)], 0)).toBeNull();
});

it('of a machine is never beyond that of all', () => {
  const limited = withinLimit([planned('cpr', gib, 10 * second), planned('none', gib, null)], 4 * second);
  expect(limited.map(({ saveLimitUs: limit }) => limit)).toEqual([4 * second, null]);
});

it('is checked against what saving is expected to take', () => {
  const whole = planned('whole_state', 4 * gib, 5 * second);
  expect(savingCheck([whole], 5 * second, [])).toEqual([
    'warn',
    'db: copying its 4096 MiB was not measured here yet, and may take 43 seconds, and its limit is 5 seconds. Allow more time, or leave it behind',
  ]);
  expect(savingCheck([whole], 5 * second, [ran('whole_state', 8 * second, gib)])).toEqual([
    'fail',
    'db: copying its 4096 MiB takes about 32 seconds, and its limit is 5 seconds. Allow more time, or leave it behind',
  ]);
  expect(savingCheck([whole], 5 * second, [ran('whole_state', second, 2 * gib)])[0]).toBe('pass');
  expect(savingCheck([planned('cpr', gib, second)], second, [ran('cpr', 2 * second, 1)])[0]).toBe('fail');
  expect(savingCheck([planned('cpr', gib, second)], second, [])[0]).toBe('pass');
  expect(savingCheck([], null, [])).toEqual(['pass', 'nothing is stopped']);
});
