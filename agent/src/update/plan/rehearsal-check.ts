// SPDX-License-Identifier: Apache-2.0
/**
 * The preflight check of rehearsals. A machine whose last one failed would not come back, and is not carried over. That
 * ends when one passes, or when a person names the machine. One that was not rehearsed may be as well as any. One that passed
 * says nothing any more where its program or anything else that it is started from is another by now.
 */

import type { CheckVerdict, PlannedMachine, Rehearsal } from '../../interface/agent.generated.ts';
import { agoWords } from '../../interface/ago.ts';

type Said = readonly [CheckVerdict, string];

/**
 * @param despite machines, by pid, that a person has named
 * @param rehearsalOf how the last rehearsal of the machine with a session went; null if its VMM was not rehearsed
 * @param nowUs µs since the epoch
 */
export async function rehearsalCheck(
  machines: readonly PlannedMachine[],
  despite: readonly number[],
  rehearsalOf: (session: string) => Promise<Rehearsal | null>,
  nowUs: number,
): Promise<Said> {
  const said = await Promise.all(
    machines.flatMap((machine) => {
      const { leave, session, pid } = machine;
      if (leave || session === null) return [];
      return [
        rehearsalOf(session).then((rehearsal) => saidOf(machine, rehearsal, despite.includes(pid), nowUs)),
      ];
    }),
  );
  if (said.length === 0) return ['pass', 'no machine is carried over'];
  const of = (wanted: CheckVerdict): string[] =>
    said.flatMap(([verdict, words]) => (verdict === wanted ? [words] : []));
  const [failed, warned, passed] = [of('fail'), of('warn'), of('pass')];
  if (failed.length > 0) {
    const advice =
      'Rehearse again once that is mended, leave the machine behind, or name it to be carried over despite that';
    return ['fail', `${failed.join('; ')}. ${advice}`];
  }
  return [warned.length > 0 ? 'warn' : 'pass', [...warned, ...passed].join('; ')];
}

function saidOf(
  { name, way }: PlannedMachine,
  rehearsal: Rehearsal | null,
  isNamed: boolean,
  nowUs: number,
): Said {
  if (rehearsal === null) return ['warn', `${name} has not been rehearsed`];
  const { atUs, problem, startUs, loadUs, left, changed } = rehearsal;
  const ago = agoWords(nowUs - atUs);
  const since = changed.length === 0 ? '' : `${changed.join(', ')} changed since`;
  if (problem !== null) {
    const failed = `${name} failed its rehearsal ${ago}`;
    const why = since === '' ? problem : `${problem} (${since})`;
    return isNamed
      ? ['warn', `${failed}, and is carried over all the same, as you chose: ${why}`]
      : ['fail', `${failed}: ${why}`];
  }
  if (startUs === null) return ['warn', `${name} was not rehearsed: ${left.join('; ')}`];
  if (since !== '') return ['warn', `${name} was rehearsed ${ago}, which does not count any more: ${since}`];
  const started = `${name} was rehearsed ${ago}: its VMM started in ${seconds(startUs)}`;
  if (loadUs !== null) return ['pass', `${started} and loaded its state in ${seconds(loadUs)}`];
  const without = `${started}; its state was not loaded${left.length === 0 ? '' : ` (${left.join('; ')})`}`;
  // On the other ways it never is.
  return [way === 'named_memory' ? 'warn' : 'pass', without];
}

const seconds = (us: number): string => `${(us / 1e6).toFixed(us < 1e5 ? 2 : 1)} s`;
