// SPDX-License-Identifier: Apache-2.0
/** The machines of a live update once it has arrived: how each fared, and what is kept of those that do not run. */
import { counted } from '../../host/plain-words.ts';
import { saidBy } from '../../host/said-by.ts';
import type { MachineRun, Update } from '../../interface/agent.generated.ts';
import { initStartedUs } from '../../kernel/log.ts';
import { agentItself } from '../../liveupdate/live-update-context.ts';
import { withUserspace } from '../record/blackout-parts.ts';
import type { IncomingIndex } from '../record/incoming-index.ts';
import type { UpdateContext } from '../record/update-context.ts';
import type { ArrivingSteps } from './arriving-steps.ts';
import type { ResumedMachines, Resuming } from './resuming.ts';

/** What came of machines with the index: how each is, and those whose records do not fit. */
interface Came {
  readonly runs: readonly MachineRun[];
  readonly unread: ResumedMachines['unread'];
}

/** As it is now, while machines are brought back. */
export const cameSoFar = (resuming: Resuming): Came => ({ runs: resuming.runs(), unread: resuming.unread });

/** As it is in the end. */
export function cameAtLast({ paths, adoptions }: UpdateContext, { machines, unread }: ResumedMachines): Came {
  const initUs = initStartedUs(paths);
  const entered = new Map(adoptions.list().map(({ session, machine }) => [session, machine.pid]));
  const runs = machines.map(({ run, instructions }) => ({
    ...ranBefore(run, entered.get(run.session ?? '')),
    parts: withUserspace(run.parts, initUs),
    instructions,
  }));
  return { runs, unread };
}

/** One that an agent of this boot has entered did run, though its VMM has ended since. @param pid of that VMM */
function ranBefore(run: MachineRun, pid: number | undefined): MachineRun {
  if (run.stage !== 'held' || pid === undefined) return run;
  return { ...run, stage: 'resumed', newPid: pid, detail: 'it ran, and its VMM has ended since' };
}

/**
 * What the record says of each machine in the next kernel: those that came, and those that did not.
 *
 * @param index null if none came
 * @param came null if no machine could be started from it
 */
export function machinesAfter(
  { machines }: Update,
  index: IncomingIndex | null,
  came: Came | null,
): MachineRun[] {
  if (came === null) {
    return machines.map((run) => {
      if (run.stage === 'left_behind') return run;
      if (index === null) return lost(run, 'no index session with its state came');
      return {
        ...run,
        stage: 'held',
        detail: 'the index session with its state cannot be read, and is kept',
      };
    });
  }
  const { runs } = came;
  const sessions = new Set(runs.map(({ session }) => session));
  const unread = new Map(came.unread.map((each) => [each.session, each.problem]));
  const others = machines.filter(({ session }) => !sessions.has(session));
  return [...runs, ...others.map((run) => otherRun(run, unread.get(run.session)))];
}

/** A machine that the index does not say enough of to start it. @param problem what of its record does not fit */
function otherRun(run: MachineRun, problem: string | undefined): MachineRun {
  if (run.stage === 'left_behind') return run;
  if (problem === undefined) return lost(run, 'the index session says nothing of its state');
  return { ...run, stage: 'held', detail: `its record in the index session does not fit: ${problem}` };
}

const lost = (run: MachineRun, detail: string): MachineRun => ({ ...run, stage: 'lost', detail });

/** The machine does not run, which its run says already. */
class NotResumed extends Error {}

/**
 * Does the plan's steps *resume*: each machine is adopted under its new process as soon as it runs. People see meanwhile
 * how those are that do not yet.
 *
 * @returns what went wrong, in words, beside what the machines' runs say
 */
export async function enterMachines(
  context: UpdateContext,
  { steps, resuming, index }: Entering,
  update: Update | null,
): Promise<string[]> {
  const { adoptions, sessions } = context;
  const problems: string[] = [];
  const now = (): Update | null =>
    update && resuming && { ...update, machines: machinesAfter(update, index, cameSoFar(resuming)) };
  const enter = async ({ session, name, stage, detail, newPid }: Entered): Promise<void> => {
    const work = async (): Promise<void> => {
      if (newPid !== null && sessions.has(session)) await adoptions.moved(session, newPid);
      if (stage !== 'resumed') throw new NotResumed(`${stage}: ${detail}`);
    };
    // How long it took is among the parts of its blackout.
    const step = { id: 'resume', session, name, update: now() ?? update, tookUs: null } as const;
    await steps.do(step, work).catch((error: unknown) => {
      if (!(error instanceof NotResumed)) problems.push(`session ${session}: ${saidBy(error)}`);
    });
  };
  const show = (): void => {
    const [pending] = resuming?.pending() ?? [];
    if (pending)
      steps.show({ id: 'resume', session: pending.session, update: now() }, resuming?.saying() ?? '');
  };
  resuming?.events.on('changed', show);
  show();
  const entered = new Set<string>();
  try {
    for await (const run of resuming?.inTurn() ?? []) {
      if (run.session === null) continue;
      entered.add(run.session);
      await enter({ ...run, session: run.session });
    }
  } finally {
    resuming?.events.off('changed', show);
  }
  const runs = new Map(update?.machines.flatMap((run) => (run.session ? [[run.session, run] as const] : [])));
  const came = [...runs].flatMap(([session, { stage }]) => (stage === 'left_behind' ? [] : [session]));
  for (const session of steps.inOrder('resume', came))
    if (!entered.has(session)) await enter({ ...(runs.get(session) ?? notKnown), session });
  return problems;
}

/** What the machines come from. */
interface Entering {
  readonly steps: ArrivingSteps;
  readonly resuming: Resuming | null;
  readonly index: IncomingIndex | null;
}

/** What is needed of a machine's run to enter it. */
type Entered = Pick<MachineRun, 'name' | 'stage' | 'detail' | 'newPid'> & { readonly session: string };

/** A machine of the plan of which the record has nothing. */
const notKnown: Omit<Entered, 'session'> = {
  name: '',
  stage: 'lost',
  detail: 'the record of the update has no such machine',
  newPid: null,
};

/**
 * Closes the sessions of machines that were left behind: they ended with the kernel.
 *
 * @returns what went wrong, in words
 */
export async function closeLeftBehind(
  { sessions, log }: UpdateContext,
  record: Update | null,
): Promise<string[]> {
  const problems: string[] = [];
  for (const { session, stage, name } of record?.machines ?? []) {
    if (stage !== 'left_behind' || session === null || !sessions.has(session)) continue;
    log('warning', 'released the memory of a machine that was left behind', { name });
    await sessions.close(session, agentItself).catch((error: unknown) => {
      problems.push(`session ${session}: ${saidBy(error)}`);
    });
  }
  return problems;
}

/**
 * Writes down how each machine fared, with the time of each instruction: nothing was written while it was stopped.
 *
 * @param resumed who brought each machine back; null if nobody did
 */
export function noteMachines(
  { journal }: UpdateContext,
  { id, machines }: Update,
  resumed: ResumedMachines | null,
): void {
  const by = new Map(resumed?.machines.map((machine) => [machine.saved.session, machine]));
  for (const run of machines) {
    const { name, pid, newPid, way, session, stage, detail, blackoutUs, parts, waits, failedAt } = run;
    const { broughtBackBy = null } = by.get(session ?? '') ?? {};
    const times = { blackoutUs, parts, waits, instructions: run.instructions ?? [] };
    journal.remember(`machine.${stage}`, {
      update: id,
      session,
      message: `${name}: ${detail}`,
      parameters: { name, pid, newPid, way, ...times, failedAt, broughtBackBy },
    });
  }
}

/**
 * Writes down that programs have stopped the machines in their sessions. The agent that they told it wrote nothing while
 * machines were stopped. Without their word it would not have left.
 */
export function noteStopped({ journal }: UpdateContext, id: string, index: IncomingIndex | null): void {
  for (const { session, attended } of index?.record?.facts?.sessions ?? [])
    if (attended)
      journal.remember('session.still', {
        ...{ update: id, session },
        message: 'the program that attends it had stopped its machine',
      });
}

/** What there is to say of machines beside that all is well. */
export function aboutMachines(machines: readonly MachineRun[]): string[] {
  const bad = machines.filter(({ stage }) => stage === 'held' || stage === 'lost');
  if (bad.length === 0) return [];
  const each = bad.map(({ name, stage, detail }) => `${name} is ${stage}: ${detail}`);
  const verb = bad.length === 1 ? 'does' : 'do';
  return [`${bad.length} of ${counted(machines.length, 'machine')} ${verb} not run: ${each.join('; ')}`];
}

/**
 * From the first machine that was stopped to the last one that runs again; without machines from the kexec being
 * set off to the last session retrieved. Null if that is not known.
 */
export function hostBlackoutUs(
  { machines }: Update,
  { jumpedAtUs, retrievedAtUs }: { jumpedAtUs: number | null; retrievedAtUs: number },
): number | null {
  const stopped = machines.flatMap(({ suspendedAtUs }) => suspendedAtUs ?? []);
  if (stopped.length === 0) return jumpedAtUs === null ? null : retrievedAtUs - jumpedAtUs;
  const running = machines.flatMap(({ suspendedAtUs, blackoutUs }) =>
    suspendedAtUs === null || blackoutUs === null ? [] : [suspendedAtUs + blackoutUs],
  );
  return running.length === 0 ? null : Math.max(...running) - Math.min(...stopped);
}
