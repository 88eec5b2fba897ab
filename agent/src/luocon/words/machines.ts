// SPDX-License-Identifier: Apache-2.0
/** Machines in words: the way each is carried over, how far it is, and which machine a person means. */
import type { AgentClient } from '../../client/index.ts';
import type {
  BlackoutSpread,
  Machine,
  MachineStage,
  NameKind,
  OrderGraph,
  Rehearsal,
  Way,
} from '../../interface/agent.generated.ts';
import { agoWords } from '../../interface/ago.ts';
import type { Tone } from '../screen.ts';
import { count, duration } from './quantities.ts';

/** The ways to carry a machine over, in a few words. */
export const wayWords: Readonly<Record<Way, string>> = {
  cpr: 'cpr-transfer',
  named_memory: 'named memory',
  whole_state: 'whole state',
  none: 'none',
};

/** What a held machine has a name for. */
export const nameKindWords: Readonly<Record<NameKind, string>> = {
  disk: 'disk',
  socket: 'socket on which its VMM listens',
  output: 'file that its VMM writes',
  file: 'file',
  bridge: 'bridge',
  tap: 'tap',
};

/** What nobody can check of another disk. */
export const otherDisk =
  'Another disk must have the same size and contents, which cannot be checked: the guest goes on with what it knows of the old one.';

export const stageWords: Readonly<Record<MachineStage, string>> = {
  waiting: 'waiting',
  suspending: 'suspending',
  saved: 'saved',
  retrieving: 'retrieving',
  starting: 'starting',
  loading: 'loading',
  resumed: 'runs again',
  running: 'runs on',
  held: 'held: not running',
  left_behind: 'left behind',
  lost: 'lost',
};

export const stageTones: Readonly<Record<MachineStage, Tone>> = {
  ...{ waiting: 'plain', suspending: 'plain', saved: 'plain', retrieving: 'plain', starting: 'plain' },
  ...{ loading: 'plain', resumed: 'good', running: 'good', held: 'bad', left_behind: 'warning', lost: 'bad' },
};

/** @param us microseconds; null: unknown */
export const perhaps = (us: number | null): string => (us === null ? 'unknown' : duration(us));

/** The blackouts of several machines, for example `first 2.5 s, mean 4.3 s, worst 6.0 s`. */
export const spreadWords = ({ firstUs, meanUs, worstUs }: BlackoutSpread): string =>
  `first ${duration(firstUs)}, mean ${duration(meanUs)}, worst ${duration(worstUs)}`;

/**
 * How a rehearsal went, for example `rehearsed 3 minutes ago: would start in 0.6 s, load in 40 ms`.
 *
 * @param nowUs µs since the epoch
 */
export function rehearsalWords(rehearsal: Rehearsal | null, nowUs: number): string {
  if (rehearsal === null) return 'not rehearsed';
  const { atUs, problem, startUs, loadUs, left, changed } = rehearsal;
  if (problem === null && startUs === null) return `not rehearsed: ${left.join('; ')}`;
  const when = `rehearsed ${agoWords(nowUs - atUs)}`;
  const without = left.length === 0 ? '' : `; not rehearsed: ${left.join('; ')}`;
  const since = changed.length === 0 ? '' : `${changed.join(', ')} changed since`;
  if (problem !== null) return `${when}, and failed: ${problem}${since === '' ? '' : `; ${since}`}${without}`;
  if (since !== '') return `${when}, which does not count any more: ${since}`;
  const load = loadUs === null ? '' : `, load in ${duration(loadUs)}`;
  return `${when}: would start in ${duration(startUs ?? 0)}${load}${without}`;
}

/** The nodes of an order by their labels, for example `disk → one`; a circle where there is one. */
export function orderWords({ nodes, order, cycle }: OrderGraph): string {
  const labels = new Map(nodes.map(({ id, label }) => [id, label]));
  const named = (ids: readonly string[]): string => ids.map((id) => labels.get(id) ?? id).join(' → ');
  return cycle.length > 0 ? `impossible, these depend on each other: ${named(cycle)}` : named(order);
}

/** The machine that a name means. @throws Error unless it is exactly one */
function pick(machines: readonly Machine[], name: string): Machine {
  const [found, ...more] = machines.filter((machine) => machine.name === name);
  if (found === undefined) throw new Error(`machine "${name}" not found; "luocon machines" lists them`);
  if (more.length === 0) return found;
  const pids = [found, ...more].map(({ pid }) => pid).join(', ');
  throw new Error(`several machines are called "${name}"; give the pid of one: ${pids}`);
}

/**
 * The machine that a person means.
 *
 * @param which its name, or the pid of its VMM
 * @throws Error if no machine, or more than one, has that name
 */
export async function findMachine(agent: AgentClient, which: string): Promise<Machine> {
  if (/^\d+$/.test(which)) return (await agent.call('GetMachine', { pid: Number(which) })).machine;
  return pick((await agent.call('ListMachines', {})).machines, which);
}
