// SPDX-License-Identifier: Apache-2.0
/**
 * The preflight check of how long machines may take to load. A VMM that goes on is never given up, so one with too much to
 * load would be stopped for hours. Saving it would succeed, and then nobody could use what was saved.
 */
import type { VmmFacts } from '../../adoption/vmm-facts.ts';
import { inMebibytes, inMinutes } from '../../host/plain-words.ts';
import type { CheckVerdict, PlannedMachine } from '../../interface/agent.generated.ts';
import { arrivalS, longestArrivalS, stateBytesOf } from '../program/arrival-time.ts';

/** @param vmms by session; one that is missing was not looked at, and fills no memory that is known of */
export function loadingCheck(
  machines: readonly PlannedMachine[],
  vmms: ReadonlyMap<string, Pick<VmmFacts, 'filledBytes'>>,
): readonly [CheckVerdict, string] {
  const carried = machines
    .filter(({ leave }) => !leave)
    .map(({ name, session, way, memory }) => {
      const stateBytes = stateBytesOf(way, memory);
      const { filledBytes = null } = vmms.get(session ?? '') ?? {};
      return { name, stateBytes, filledBytes, seconds: arrivalS({ stateBytes, filledBytes }) };
    })
    .sort((one, other) => other.seconds - one.seconds);
  const [longest] = carried;
  if (longest === undefined) return ['pass', 'no machine has to be loaded'];
  const tooLong = carried.filter(({ seconds }) => seconds > longestArrivalS);
  if (tooLong.length === 0)
    return ['pass', `${longest.name} takes longest to load, up to ${inMinutes(longest.seconds)}`];
  const each = tooLong.map(({ name, stateBytes, filledBytes, seconds }) => {
    const what =
      stateBytes > 0
        ? `its memory of ${inMebibytes(stateBytes)} is loaded with its state`
        : `its VMM fills ${inMebibytes(filledBytes ?? 0)} before it listens`;
    return `${name} may take ${inMinutes(seconds)} to load, because ${what}`;
  });
  const remedy = 'Start it again with shared memory, or leave it behind';
  return ['fail', `${each.join('; ')}; expected at most ${inMinutes(longestArrivalS)}. ${remedy}`];
}
