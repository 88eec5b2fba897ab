// SPDX-License-Identifier: Apache-2.0
/**
 * The order in which machines are started: as many at once as there are processors. The carrier starts them in the order
 * of its program, and an agent that has machines brought back itself in the same one.
 */
import type { SavedMachine } from '../../adoption/saved-machine.ts';

/**
 * Those with the highest priority come first. Among equals it is those that wait for nothing, and then the smaller ones:
 * most of them run again soonest that way.
 *
 * @param bytesOf how much memory a machine has; null if that is not known, and then it counts as large
 */
export function startOrder(
  machines: readonly SavedMachine[],
  bytesOf: (machine: SavedMachine) => number | null,
): SavedMachine[] {
  const bytes = new Map(machines.map((each) => [each, bytesOf(each) ?? Number.MAX_SAFE_INTEGER]));
  const waits = ({ facts }: SavedMachine): number => ((facts?.needs.length ?? 0) === 0 ? 0 : 1);
  return machines.toSorted(
    (one, other) =>
      other.priority - one.priority ||
      waits(one) - waits(other) ||
      (bytes.get(one) ?? 0) - (bytes.get(other) ?? 0),
  );
}
