// SPDX-License-Identifier: Apache-2.0
/**
 * The matrix of faults: each seam that runs without a fault have reached, with each kind of fault that fits it. Every case is
 * a run on a fresh host.
 */
import { saidBy } from '../../src/host/said-by.ts';
import { knownFaults } from './known.ts';
import { type Flow, flows, Scene } from './scene.ts';
import { type Fault, type Kind, kinds, type Point, type Stage, stages } from './seams.ts';
import { expectedOf, type Result, type Seen, verdictOf } from './verdict.ts';
import { type Watching, watch } from './watching.ts';

export interface Case {
  readonly flow: Flow;
  readonly fault: Fault;
}

/** A line of the table. */
export interface Line {
  readonly name: string;
  readonly expected: string;
  readonly seen: string;
  /** `known`: it is as bad as is known. */
  readonly verdict: 'as expected' | 'known' | 'differs';
}

/** Stages that a flow is looked at for. What comes before is the same in all. */
const ofFlow: Readonly<Record<Flow, readonly Stage[]>> = {
  kexec: ['adopt', 'plan', 'prepare', 'save', 'kexec', 'resume', 'settle'],
  refused: ['undo'],
  aborted: ['undo'],
};

/**
 * Nothing in user space can help. A session that the kernel has given out is finished when the agent dies before the service
 * manager has a copy. And a VMM that dies as it is told to run may have run: its state must not be loaded again.
 */
const isBeyondHelp = ({ kind, point: { label, stage } }: Fault): boolean =>
  (kind === 'agent dies' && label.startsWith('native:liveUpdate.retrieveSession#')) ||
  (kind === 'VMM dies' && stage === 'resume' && /^qmp:\w+:cont#/.test(label));

export const nameOf = ({ flow, fault: { kind, point } }: Case): string =>
  `${point.stage}: ${kind} at ${point.label}${flow === 'kexec' ? '' : ` (${flow})`}`;

/** Runs without a fault, and finds all cases. */
export async function findCases(watching: Watching): Promise<Case[]> {
  const cases: Case[] = [];
  for (const flow of flows) {
    // The first run of a process reads what later ones have in memory.
    await recorded(watching, flow);
    const points = distinct(await recorded(watching, flow));
    for (const point of points.filter(({ stage }) => ofFlow[flow].includes(stage)))
      for (const kind of kinds)
        if (point.fits.has(kind) && !isBeyondHelp({ kind, point }))
          cases.push({ flow, fault: { kind, point } });
  }
  return cases;
}

async function recorded(watching: Watching, flow: Flow): Promise<Point[]> {
  const scene = new Scene(watching, flow, null);
  try {
    await scene.run();
    return scene.seams.points;
  } finally {
    await scene.dispose();
  }
}

/** One of each wait, where what is waited for is a file. */
function distinct(points: readonly Point[]): Point[] {
  const seen = new Set<string>();
  return points.filter(({ site, stage }) => {
    const key = `${stage} ${site}`;
    if (site === null) return true;
    return !seen.has(key) && seen.add(key);
  });
}

/** The first case of each kind at each stage. */
export function sampleOf(cases: readonly Case[]): Case[] {
  return stages.flatMap((stage) =>
    kinds.flatMap(
      (kind) => cases.find(({ fault }) => fault.kind === kind && fault.point.stage === stage) ?? [],
    ),
  );
}

/** Only cases whose names match are run, for somebody who looks at a few. */
const only = new RegExp(process.env['LUO_FAULTS_ONLY'] ?? '');

/** With fewer in a file of tests, waits are not found any more. */
const fewestCases = 100;

/**
 * Runs every case of some stages, and prints the line of each.
 *
 * @throws Error if there are too few
 */
export async function runStages(wanted: readonly Stage[]): Promise<Line[]> {
  const watching = watch();
  const cases = await findCases(watching);
  const all = cases.filter(({ fault }) => wanted.includes(fault.point.stage));
  if (all.length < fewestCases) throw new Error(`only ${all.length} cases were found`);
  const chosen = all.filter((each) => only.test(nameOf(each)));
  return await runAll(watching, chosen, (line) => console.log(tableOf([line])));
}

/** Runs cases, one after the other. @param told of each line as it comes */
export async function runAll(
  watching: Watching,
  cases: readonly Case[],
  told: (line: Line) => void = () => {},
): Promise<Line[]> {
  const lines: Line[] = [];
  for (const each of cases) {
    const line = await runCase(watching, each);
    told(line);
    lines.push(line);
  }
  return lines;
}

export async function runCase(watching: Watching, each: Case): Promise<Line> {
  const { fault } = each;
  const name = nameOf(each);
  const expected = expectedOf(fault);
  const { result, times, problems } = await seenOf(watching, each);
  const unexpected = result === null || expected.includes(result) ? [] : ['another outcome was expected'];
  const all = [...problems, ...unexpected];
  const seen = [`${result ?? 'no outcome'}${times}`, ...all].join('; ');
  const known = knownFaults.find(({ is }) => is.test(name)) ?? null;
  const line = { name, expected: expected.join(' or '), seen };
  if (known === null) return { ...line, verdict: all.length === 0 ? 'as expected' : 'differs' };
  if (all.length === 0) return { ...line, seen: `${seen}; it is known as bad`, verdict: 'differs' };
  return { ...line, verdict: known.seen.test(seen) ? 'known' : 'differs' };
}

/** @returns without a result if the run came to no end */
async function seenOf(
  watching: Watching,
  { flow, fault }: Case,
): Promise<Omit<Seen, 'result'> & { result: Result | null }> {
  const scene = new Scene(watching, flow, fault);
  try {
    const seen = await verdictOf(scene, await scene.run());
    return scene.seams.isStruck ? seen : { ...seen, problems: [...seen.problems, 'it was not reached'] };
  } catch (error) {
    return { result: null, times: '', problems: [saidBy(error)] };
  } finally {
    await scene.dispose();
  }
}

/** Kinds that a stage has no case of, as far as any could fit. */
export function missing(cases: readonly Case[]): string[] {
  const has = (stage: Stage, kind: Kind): boolean =>
    cases.some(({ fault }) => fault.kind === kind && fault.point.stage === stage);
  return stages.flatMap((stage) =>
    (['error', 'agent dies', 'VMM dies'] as const)
      .filter((kind) => !has(stage, kind))
      .map((kind) => `${stage}: ${kind}`),
  );
}

/** The table, for people. */
export function tableOf(lines: readonly Line[]): string {
  return lines
    .map(({ name, expected, seen, verdict }) => `${verdict.padEnd(11)} | ${name} | ${expected} | ${seen}`)
    .join('\n');
}
