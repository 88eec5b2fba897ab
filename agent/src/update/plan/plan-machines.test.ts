// SPDX-License-Identifier: Apache-2.0
/** By which way the plan says that a machine goes. */
import { expect, it } from 'vitest';
import type { Machine, Way } from '../../interface/agent.generated.ts';
import { sampleMachine } from '../../luocon/machine.fixture.ts';
import { planMachines } from './plan-machines.ts';

function planned(way: Way, adopted: Way | null) {
  const session = adopted === null ? null : 'machine:web';
  const machine: Machine = { ...sampleMachine, state: 'running', session, way, wayReason: 'as found' };
  const [only] = planMachines(
    [machine],
    new Set(),
    () => adopted,
    () => null,
    () => 10_000_000,
  );
  return only;
}

it('a machine goes the way in which it was found, and adopted', () => {
  expect(planned('cpr', 'cpr')).toMatchObject({ way: 'cpr', detail: expect.stringContaining('as found') });
});

it('one that was adopted to be saved whole is, though its memory could be preserved by now', () => {
  expect(planned('cpr', 'whole_state')).toMatchObject({
    way: 'whole_state',
    expectedBlackoutUs: null,
    detail: expect.stringMatching(
      /its memory and its state are copied.*cpr-transfer, release it and adopt it again/,
    ),
  });
});

it('one that cannot be carried over by now has no way, however it was adopted', () => {
  expect(planned('none', 'cpr')).toMatchObject({ way: 'none', detail: expect.stringContaining('as found') });
});
