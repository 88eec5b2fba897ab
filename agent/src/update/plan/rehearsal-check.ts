// SPDX-License-Identifier: Apache-2.0
/**
 * The preflight check of rehearsals. A machine whose last one failed would not come back, and is not carried over. That
 * ends when one passes, or when a person names the machine. One that was not rehearsed may be as well as any.
 */
import type { CheckVerdict, PlannedMachine, Rehearsal } from '../../interface/agent.generated.ts';

/**
 * @param despite machines, by pid, that a person has named
 * @param rehearsalOf how the last rehearsal of the machine with a session went; null if its VMM was not rehearsed
 */
export function rehearsalCheck(
  machines: readonly PlannedMachine[],
  despite: readonly number[],
  rehearsalOf: (session: string) => Rehearsal | null,
): readonly [CheckVerdict, string] {
  const carried = machines.flatMap(({ name, pid, session, leave }) =>
    leave || session === null ? [] : [{ name, pid, rehearsal: rehearsalOf(session) }],
  );
  if (carried.length === 0) return ['pass', 'no machine is carried over'];
  const said = (
    which: readonly (typeof carried)[number][],
    how: (rehearsal: Rehearsal | null) => string,
  ): string[] => which.map(({ name, rehearsal }) => `${name} ${how(rehearsal)}`);
  const failed = carried.filter(({ rehearsal }) => (rehearsal?.problem ?? null) !== null);
  const stopping = failed.filter(({ pid }) => !despite.includes(pid));
  if (stopping.length > 0) {
    const problems = said(stopping, (rehearsal) => `failed its rehearsal: ${rehearsal?.problem}`);
    const advice =
      'Rehearse again once that is mended, leave the machine behind, or name it to be carried over despite that';
    return ['fail', `${problems.join('; ')}. ${advice}`];
  }
  const unsure = carried.filter(
    ({ rehearsal }) => (rehearsal?.problem ?? null) === null && (rehearsal?.startUs ?? null) === null,
  );
  const passed = carried.filter((each) => !failed.includes(each) && !unsure.includes(each));
  const words = [
    ...said(
      failed,
      (rehearsal) =>
        `failed its rehearsal, and is carried over all the same, as you chose: ${rehearsal?.problem}`,
    ),
    ...said(unsure, (rehearsal) =>
      rehearsal === null ? 'has not been rehearsed' : `cannot be rehearsed: ${rehearsal.left.join('; ')}`,
    ),
    ...said(passed, (rehearsal) => howItPassed(rehearsal)),
  ];
  return [failed.length > 0 || unsure.length > 0 ? 'warn' : 'pass', words.join('; ')];
}

function howItPassed(rehearsal: Rehearsal | null): string {
  const { startUs = null, loadUs = null, left = [] } = rehearsal ?? {};
  const seconds = (us: number): string => `${(us / 1e6).toFixed(us < 1e5 ? 2 : 1)} s`;
  const start = `was rehearsed: its VMM started in ${seconds(startUs ?? 0)}`;
  // Why may be that its guest would have been stopped for too long, as it would be in an update.
  return loadUs === null
    ? `${start}; its state was not loaded${left.length === 0 ? '' : ` (${left.join('; ')})`}`
    : `${start} and loaded its state in ${seconds(loadUs)}`;
}
