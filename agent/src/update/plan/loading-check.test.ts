// SPDX-License-Identifier: Apache-2.0
/** How long machines may take to load, and which of them cannot come along. */
import { describe, expect, it } from 'vitest';
import type { PlannedMachine } from '../../interface/agent.generated.ts';
import { loadingCheck } from './loading-check.ts';
import { plannedMachine } from './planned-machine.fixture.ts';

const gibibyte = 2 ** 30;

const machine = plannedMachine;
const whole = (name: string, memory: number, leave = false): PlannedMachine =>
  machine(name, { way: 'whole_state', memory, leave });
const filled = (name: string, filledBytes: number | null) => new Map([[`machine:${name}`, { filledBytes }]]);
const nothing = new Map<string, { filledBytes: number | null }>();

describe('the check of loading', () => {
  it('says which machine takes longest, and up to how long', () => {
    expect(loadingCheck([machine('vm1'), whole('vm2', 4 * gibibyte), machine('vm3')], nothing)).toEqual([
      'pass',
      'vm2 takes longest to load, up to 7 minutes',
    ]);
    expect(loadingCheck([machine('vm1')], filled('vm1', 600e9))).toEqual([
      'pass',
      'vm1 takes longest to load, up to 13 minutes',
    ]);
  });

  it.each([
    [
      'memory that stays needs no loading, however much it is',
      [machine('vm1', { memory: 2 ** 44 })],
      nothing,
    ],
    ['nothing is known of a VMM', [machine('vm1')], filled('vm1', null)],
    ['a state is as large as may be', [whole('vm1', 20e6 * (7200 - 180))], nothing],
    ['a machine that would take too long is left behind', [machine('a'), whole('b', 2 ** 44, true)], nothing],
  ])('passes where %s', (_case, machines, vmms) => {
    expect(loadingCheck(machines, vmms)[0]).toBe('pass');
  });

  it('fails for memory that is in the state and could not be loaded in time', () => {
    expect(loadingCheck([machine('vm1'), whole('vm2', 200 * gibibyte)], nothing)).toEqual([
      'fail',
      'vm2 may take 182 minutes to load, because its memory of 204800 MiB is loaded with its state; expected at most 120 minutes. Start it again with shared memory, or leave it behind',
    ]);
    expect(loadingCheck([whole('vm1', 20e6 * (7200 - 180) + 1)], nothing)[0]).toBe('fail');
  });

  it('fails for memory that a VMM could not fill in time', () => {
    expect(loadingCheck([machine('vm1')], filled('vm1', 8e12))).toEqual([
      'fail',
      expect.stringContaining('its VMM fills 7629395 MiB before it listens'),
    ]);
  });

  it('has nothing to say where no machine comes along', () => {
    expect(loadingCheck([], nothing)).toEqual(['pass', 'no machine has to be loaded']);
  });
});
