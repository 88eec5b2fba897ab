// SPDX-License-Identifier: Apache-2.0
/** Which machines cannot come along, because their VMMs would have other rights than they have. */
import { expect, it } from 'vitest';
import type { PlannedMachine } from '../../interface/agent.generated.ts';
import { plannedMachine } from './planned-machine.fixture.ts';
import { privilegesCheck } from './privileges-check.ts';

const machine = (name: string, leave = false): PlannedMachine => plannedMachine(name, { leave });
const vmms = new Map([
  ['machine:kept', { unkept: null }],
  ['machine:not', { unkept: 'a filter of system calls was set for it' }],
]);

it('passes where every machine that comes along keeps its rights', () => {
  const passed = ['pass', 'no machine comes back with other capabilities, system calls or label than it has'];
  expect(privilegesCheck([machine('kept'), machine('not', true)], vmms, new Map())).toEqual(passed);
  // One that has ended meanwhile is told of elsewhere.
  expect(privilegesCheck([machine('gone')], vmms, new Map())).toEqual(passed);
});

it('fails for one that would not keep them, and for one that could not be looked at', () => {
  const obstacles = new Map([['machine:unread', 'its limits have no "Max cpu time"']]);
  expect(privilegesCheck([machine('kept'), machine('not'), machine('unread')], vmms, obstacles)).toEqual([
    'fail',
    'not cannot be started again with the rights that it has: a filter of system calls was set for it; unread cannot be started again with the rights that it has: its rights are unknown: its limits have no "Max cpu time". Start it again in a way that can be kept, or leave it behind',
  ]);
});
