// SPDX-License-Identifier: Apache-2.0
/**
 * The preflight check of what the update before has left: machines that are still stopped, or whose migration settings are
 * not put back. Their monitors do not answer the agent, so they could not be saved either.
 */
import type { StoppedMachines } from '../../adoption/stopped-machines.ts';
import type { CheckVerdict, PlannedMachine } from '../../interface/agent.generated.ts';
import type { Phases } from '../record/phases.ts';

interface AsBeforeContext {
  readonly adoptions: { readonly stopped: Pick<StoppedMachines, 'notAsBefore'> };
  readonly phases: Pick<Phases, 'phase'>;
}

/** Says which machines that come along are not as they were before the last update. */
export function asBeforeCheck(
  { adoptions, phases }: AsBeforeContext,
  machines: readonly PlannedMachine[],
): [CheckVerdict, string] {
  const coming = new Set(machines.flatMap(({ leave, session }) => (leave ? [] : (session ?? []))));
  const found = adoptions.stopped.notAsBefore.filter(({ session }) => coming.has(session));
  // An update has them in hand.
  if (phases.phase !== 'normal' || found.length === 0)
    return ['pass', 'no machine is different since the last update'];
  const said = found.map(({ machine: { name, suspended, renewal } }) => {
    if (renewal) return `it is not settled which VMM ${name} has since it was renewed`;
    return suspended
      ? `${name} is still stopped since the last update`
      : `the migration settings of ${name} are not as before the last update, and another migration may end its VMM`;
  });
  return [
    'fail',
    `${said.join('; ')}. The agent tries again, at least once a minute. Another client may have the monitor, or it does not answer`,
  ];
}
