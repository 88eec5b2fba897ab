// SPDX-License-Identifier: Apache-2.0
/**
 * The preflight check of what VMMs may do. Each is started again with the rights that it has. If that is impossible, or
 * if its rights are unknown, it might come back with more of them: so it is not carried over.
 */
import type { VmmFacts } from '../../adoption/vmm-facts.ts';
import type { CheckVerdict, PlannedMachine } from '../../interface/agent.generated.ts';
import type { Obstacles } from './carrier-use.ts';

/**
 * @param vmms what is known, by session
 * @param obstacles why a VMM could not be looked at, for one of which nothing is known. One that has ended has neither
 */
export function privilegesCheck(
  machines: readonly PlannedMachine[],
  vmms: ReadonlyMap<string, Pick<VmmFacts, 'unkept'>>,
  obstacles: Obstacles,
): readonly [CheckVerdict, string] {
  const problems = machines.flatMap(({ name, session, leave }) => {
    if (leave || session === null) return [];
    const vmm = vmms.get(session);
    const unknown = vmm === undefined ? obstacles.get(session) : undefined;
    const why = unknown === undefined ? (vmm?.unkept ?? null) : `its rights are unknown: ${unknown}`;
    return why === null ? [] : [`${name} cannot be started again with the rights that it has: ${why}`];
  });
  if (problems.length === 0)
    return ['pass', 'no machine comes back with other capabilities, system calls or label than it has'];
  return ['fail', `${problems.join('; ')}. Start it again in a way that can be kept, or leave it behind`];
}
