// SPDX-License-Identifier: Apache-2.0
/**
 * What must hold of a host after any fault. No guest is stopped with nobody to let it run, none runs twice, and no last copy
 * of a state is freed. What is said is true, and an abort ends in time.
 */

import { usualSettings } from '../../src/adoption/fake-vmm.fixture.ts';
import type { AgentClient } from '../../src/client/index.ts';
import type { HeldMachine, Outcome, Update } from '../../src/interface/agent.generated.ts';
import { contentOf } from '../scenario.ts';
import type { End, Scene } from './scene.ts';
import type { Fault, Kind, Stage } from './seams.ts';

/** What came of a run. `refused` is an adoption or an update that did not begin. */
export type Result = 'refused' | 'none' | Outcome;

export interface Seen {
  readonly result: Result;
  /** How long guests were stopped and how long an abort took, for people. */
  readonly times: string;
  /** What does not hold. */
  readonly problems: readonly string[];
}

/**
 * How long a guest may be stopped in the kernel that is left while another VMM hangs, in ms: as long as that may take to be
 * saved (`leastSaveMs` in `save.ts`), and a little more.
 */
const longestStopMs = 32_000;

/** The same once somebody has aborted the update, in ms. */
const longestStopAfterAbortMs = 2000;

/**
 * How long an abort may take, in ms: at every wait, from the start of a plan to the reboot call. What hangs is left behind by
 * then, and the machines whose VMMs answer run.
 */
const longestAbortMs = 2000;

/** What may come of a run with a fault, as its table says. */
export function expectedOf({ kind, point: { stage } }: Fault): readonly Result[] {
  // Nothing is done yet.
  if (stage === 'plan') return ['refused', 'aborted', 'updated'];
  if (stage === 'adopt') return ['refused', 'aborted', 'returned', 'updated'];
  // What could not be read once is not known to have come.
  if (stage === 'resume' || stage === 'settle')
    return kind === 'error' ? ['updated', 'unknown'] : ['updated'];
  if (stage === 'undo') return ['aborted', 'returned'];
  return expectedBefore[kind](stage);
}

const expectedBefore: Readonly<Record<Kind, (stage: Stage) => readonly Result[]>> = {
  error: (stage) =>
    stage === 'kexec' ? ['aborted', 'returned', 'updated'] : ['refused', 'aborted', 'updated'],
  hang: () => ['refused', 'aborted', 'updated'],
  'hang, abort': () => ['refused', 'aborted'],
  abort: () => ['refused', 'aborted', 'updated'],
  // In the reboot call it dies of the kexec.
  'agent dies': (stage) => (stage === 'kexec' ? ['aborted', 'updated'] : ['none', 'aborted']),
  'VMM dies': () => ['refused', 'aborted', 'updated'],
  'disk full': () => ['refused', 'aborted', 'updated'],
};

/** Looks at a host after a run. */
export async function verdictOf(scene: Scene, end: End): Promise<Seen> {
  const problems = end === 'next kernel' ? [] : problemsAtOnce(scene);
  let client = await scene.needAgent();
  await scene.recover();
  if (scene.isJournalClosed) client = await scene.restart();
  const update = await updateOf(scene, client);
  if (end === 'next kernel') {
    const isHeld = update?.machines.some(({ stage }) => stage === 'held') === true;
    const isMissing = update?.carried.some(({ verdict }) => verdict === 'missing') === true;
    // What could not be read once is read by the next agent.
    if ((isHeld && (await heldOf(scene, client)).length === 0) || isMissing) client = await scene.restart();
    problems.push(...(await problemsThere(scene, client, update)));
  } else problems.push(...(await problemsHere(scene, client, update)));
  problems.push(...(await problemsAnywhere(scene, client)), ...scene.guests.wrong);
  const result = update?.outcome ?? (end === 'not adopted' || end === 'not begun' ? 'refused' : 'none');
  return { result, times: timesOf(scene), problems };
}

function timesOf({ abort, guests: { stoppedMs } }: Scene): string {
  const stops = Math.max(0, ...stoppedMs.values());
  const took = abort === null ? '' : `, abort took ${abort.tookMs} ms`;
  return `${stops === 0 ? '' : `, stopped for ${stops} ms`}${took}`;
}

const updateOf = async (scene: Scene, client: AgentClient): Promise<Update | null> =>
  (await scene.answer(client.call('ListUpdates', {}))).updates[0] ?? null;

const heldOf = async (scene: Scene, client: AgentClient): Promise<readonly HeldMachine[]> =>
  (await scene.answer(client.call('ListHeldMachines', {}))).machines;

/** What must hold as soon as the run is over, before what hangs goes on. */
function problemsAtOnce(scene: Scene): string[] {
  const { abort } = scene;
  const problems = scene.isStuck ? ['it never ends, and an abort does not help'] : [];
  const stops = Math.max(0, ...scene.guests.stoppedMs.values());
  if (stops > (abort === null ? longestStopMs : longestStopAfterAbortMs))
    problems.push(`a guest was stopped for ${stops} ms`);
  if (abort === null) return problems;
  if (abort.tookMs === null && !scene.hasAgentDied) problems.push('the abort was not answered');
  if (abort.tookMs !== null && abort.tookMs > longestAbortMs)
    problems.push(`the abort took ${abort.tookMs} ms`);
  if (abort.stopped.length > 0)
    problems.push(`${abort.stopped.join(', ')} did not run when the abort was answered`);
  return problems;
}

async function problemsHere(scene: Scene, client: AgentClient, update: Update | null): Promise<string[]> {
  const problems = scene.guests.stopped().map((name) => `${name} is stopped`);
  if (scene.host.loaded !== null) problems.push('the next kernel is still loaded');
  for (const { name, guest } of scene.guests.machines.values())
    if (!scene.guests.dead.has(name) && JSON.stringify(guest.settings) !== JSON.stringify(usualSettings))
      problems.push(`the migration settings of ${name} are not as before`);
  const { machines } = await scene.answer(client.call('ListMachines', {}));
  for (const { name, guest } of scene.guests.machines.values())
    if (
      !scene.guests.dead.has(name) &&
      !machines.some((each) => each.name === name && each.state === 'running')
    )
      problems.push(`${name} is not listed as running, and it ${guest.running ? 'runs' : 'does not run'}`);
  if (update === null) return problems;
  if (update.outcome === null) problems.push('the update is not settled');
  for (const { name, stage } of update.machines)
    if (stage === 'resumed' || stage === 'saved') problems.push(`${name} is said to be ${stage}`);
  return problems;
}

async function problemsThere(scene: Scene, client: AgentClient, update: Update | null): Promise<string[]> {
  const problems: string[] = [];
  const said = new Map(update?.machines.map(({ name, stage }) => [name, stage]));
  const held = await heldOf(scene, client);
  for (const [name, { guest }] of scene.guests.machines) {
    const hasEnded = scene.guests.dead.get(name) === true;
    const isRunning = guest.running && !scene.guests.dead.has(name);
    const isHeld = held.find((each) => each.name === name);
    if (said.get(name) === 'resumed' && !isRunning && !hasEnded)
      problems.push(`${name} is said to be resumed, and does not run`);
    if (isRunning && said.get(name) !== 'resumed' && said.get(name) !== 'held')
      problems.push(`${name} runs, and is said to be ${said.get(name)}`);
    if (isRunning && guest.loaded !== 'device state') problems.push(`${name} runs without its state`);
    if (isRunning || hasEnded) continue;
    if (!isHeld) problems.push(`${name} is lost`);
    else problems.push(...(await problemsOfHeld(scene, client, name, isHeld.session)));
  }
  return problems;
}

/** One that is held can be brought back. */
async function problemsOfHeld(
  scene: Scene,
  client: AgentClient,
  name: string,
  session: string,
): Promise<string[]> {
  const retrying = client.call('RetryMachine', { session });
  try {
    await scene.time.during(retrying, 600_000);
  } catch (error) {
    return [`${name} is held, and cannot be brought back: ${JSON.stringify(error)}`];
  }
  return scene.guests.machines.get(name)?.guest.running ? [] : [`${name} was held, and does not run`];
}

async function problemsAnywhere(scene: Scene, client: AgentClient): Promise<string[]> {
  const problems: string[] = [];
  const { status } = await scene.answer(client.call('GetStatus', {}));
  if (status.phase !== 'normal') problems.push(`the phase is ${status.phase}`);
  const { intact } = await scene.answer(client.call('VerifyJournal', {}));
  if (!intact) problems.push('the journal is broken');
  const { sessions } = await scene.answer(client.call('ListSessions', {}));
  // One that is incoming still has all in the kernel.
  const isIncoming = sessions.some(({ name, direction }) => name === 's' && direction === 'incoming');
  const reading = scene.answer(contentOf(client, 's', '0x0'));
  const text = await reading.catch((error: unknown) => String(error));
  if (text !== 'kept' && !isIncoming) problems.push(`session s has "${text}"`);
  return problems;
}
