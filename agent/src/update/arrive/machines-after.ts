// SPDX-License-Identifier: Apache-2.0
/** The machines of a live update once it has arrived: how each fared, and what is kept of those that do not run. */
import type { Descriptor, Memory } from '@luo-console/native';
import { counted } from '../../host/plain-words.ts';
import { saidBy } from '../../host/said-by.ts';
import type { MachineRun, Update } from '../../interface/agent.generated.ts';
import { initStartedUs } from '../../kernel/log.ts';
import { agentItself } from '../../liveupdate/live-update-context.ts';
import { withUserspace } from '../record/blackout-parts.ts';
import type { UpdateContext } from '../record/update-context.ts';
import type { ArrivingSteps } from './arriving-steps.ts';
import type { ResumedMachines } from './resume-machines.ts';

/**
 * What the record says of each machine in the next kernel: those that came, and those that did not.
 *
 * @param resumed null if no index came from which machines could be started
 */
export function machinesAfter(
  { paths }: UpdateContext,
  { machines }: Update,
  resumed: ResumedMachines | null,
): MachineRun[] {
  if (resumed === null) {
    const why = 'no index session with its state came that could be read in time';
    return machines.map((run) => (run.stage === 'left_behind' ? run : lost(run, why)));
  }
  const initUs = initStartedUs(paths);
  const came = resumed.machines.map(({ run }) => ({ ...run, parts: withUserspace(run.parts, initUs) }));
  const sessions = new Set(came.map(({ session }) => session));
  const others = machines.filter(({ session }) => !sessions.has(session));
  const why = 'the index session says nothing of its state';
  return [...came, ...others.map((run) => (run.stage === 'left_behind' ? run : lost(run, why)))];
}

const lost = (run: MachineRun, detail: string): MachineRun => ({ ...run, stage: 'lost', detail });

/** The machine does not run, which its run says already. */
class NotResumed extends Error {}

/**
 * Does the plan's steps *resume*, whose machines run or do not by now: they are adopted under their new processes.
 *
 * @returns what went wrong, in words, beside what the machines' runs say
 */
export async function enterMachines(
  { adoptions, sessions }: UpdateContext,
  steps: ArrivingSteps,
  update: Update | null,
): Promise<string[]> {
  const problems: string[] = [];
  const runs = new Map(update?.machines.flatMap((run) => (run.session ? [[run.session, run]] : [])));
  const came = [...runs].flatMap(([session, { stage }]) => (stage === 'left_behind' ? [] : [session]));
  for (const session of steps.inOrder('resume', came)) {
    const { name, stage, detail, newPid } = runs.get(session) ?? notKnown;
    const enter = async (): Promise<void> => {
      if (newPid !== null && sessions.has(session)) await adoptions.moved(session, newPid);
      if (stage !== 'resumed') throw new NotResumed(`${stage}: ${detail}`);
    };
    // How long it took is among the parts of its blackout.
    await steps.do({ id: 'resume', session, name, update, tookUs: null }, enter).catch((error: unknown) => {
      if (!(error instanceof NotResumed)) problems.push(`session ${session}: ${saidBy(error)}`);
    });
  }
  return problems;
}

/** A machine of the plan of which the record has nothing. */
const notKnown: Pick<MachineRun, 'name' | 'stage' | 'detail' | 'newPid'> = {
  name: '',
  stage: 'lost',
  detail: 'the record of the update has no such machine',
  newPid: null,
};

/**
 * Keeps the states of machines that do not run in their sessions, where their memory is, and lets go of what is
 * left of machines that were left behind.
 *
 * @returns what went wrong, in words
 */
export async function keepWhatIsHeld(
  { native, sessions, log }: UpdateContext,
  record: Update | null,
  resumed: ResumedMachines | null,
): Promise<string[]> {
  const problems: string[] = [];
  const attempt = async (session: string, work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      problems.push(`session ${session}: ${saidBy(error)}`);
    }
  };
  for (const [session, state] of resumed?.heldStates ?? []) {
    const request = {
      token: null,
      label: 'state of a machine that does not run',
      source: 'recorded from its VMM',
    };
    await attempt(session, async () => {
      using file = state;
      // The file itself belongs to the index session until that is finished: the kernel would answer EBUSY.
      using copy = copyOf(native.memory, file);
      await sessions.preserve(session, copy, request, agentItself);
    });
  }
  for (const { session, stage, name } of record?.machines ?? []) {
    if (stage !== 'left_behind' || session === null || !sessions.has(session)) continue;
    log('warning', 'released the memory of a machine that was left behind', { name });
    await attempt(session, () => sessions.close(session, agentItself));
  }
  return problems;
}

const pieceBytes = 1024 * 1024;

function copyOf(memory: Memory, file: Descriptor): Descriptor {
  const copy = memory.memfdCreate('luo-machine-state');
  try {
    for (let at = 0; ; at += pieceBytes) {
      const piece = memory.read(file, BigInt(at), pieceBytes);
      if (piece.length === 0) return copy;
      memory.write(copy, BigInt(at), piece);
    }
  } catch (error) {
    copy.close();
    throw error;
  }
}

/** Writes down how each machine fared: nothing was written while it stood still. */
export function noteMachines({ journal }: UpdateContext, { id, machines }: Update): void {
  for (const run of machines) {
    const { name, pid, newPid, way, session, stage, detail, blackoutUs, parts } = run;
    journal.note(`machine.${stage}`, {
      update: id,
      session,
      message: `${name}: ${detail}`,
      parameters: { name, pid, newPid, way, blackoutUs, parts },
    });
  }
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
