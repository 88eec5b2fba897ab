// SPDX-License-Identifier: Apache-2.0
/** A machine of an update runs on in this kernel, with the migration settings that it had. */
import { inTime } from '../host/in-time.ts';
import { saidBy } from '../host/said-by.ts';
import type { MachineRun } from '../interface/agent.generated.ts';
import type { MachineHead } from '../liveupdate/machine-head.ts';
import type { Adopted } from './adoption-context.ts';
import type { MachineSaver } from './save.ts';
import type { SuspensionContext } from './suspension-context.ts';

type Marks = Pick<SuspensionContext, 'mark' | 'isThere'>;

/** A machine of an update. */
interface Member {
  readonly adopted: Adopted;
  readonly run: MachineRun;
  /** Null if it was not made ready. */
  readonly saver: Pick<MachineSaver, 'letRunOn' | 'putBack' | 'ran'> | null;
  /** How it is since it was left behind and let go on; null if it was not. */
  readonly since: string | null;
}

/** How far it is with letting a machine run on. */
export interface Leaving {
  /** Resolves once it was tried; null while that is not tried. */
  leaving: Promise<void> | null;
  /** Whether that was not waited for to its end. */
  isLate: boolean;
}

/**
 * How long a VMM is waited for that lets its guest run on, in ms. It has more time, but nobody waits: others run, and an
 * abort is answered.
 */
const runOnMs = 800;

/**
 * Lets a machine run on, if it ran before, and puts its migration settings back.
 *
 * @returns how it is, and what did not go well
 * @throws QmpError if it could not be let run on: its mark stays
 */
export async function runOn(
  { adopted: { machine, session } }: { readonly adopted: Adopted },
  saver: Pick<MachineSaver, 'letRunOn' | 'putBack' | 'ran'>,
  { mark, isThere }: Marks,
): Promise<{ detail: string; problems: string[] }> {
  const { name } = machine;
  const instead = await saver.letRunOn();
  mark(session, { suspended: false });
  const left = `its state is "${instead}", which the update has not caused, and stays so`;
  const problems = instead === null ? [] : [`${name} does not run on: ${left}`];
  await saver.putBack().catch(async (error: unknown) => {
    // There is nothing to put back of a VMM that has ended.
    if (await isThere(machine))
      problems.push(`the migration settings of ${name} are not as before yet: ${saidBy(error)}`);
  });
  const detail = saver.ran ? 'it runs on in this kernel' : 'it does not run, as before the update';
  return { detail: instead === null ? detail : left, problems };
}

/**
 * Lets a machine run on that the update leaves behind.
 *
 * @param problem why it is left behind
 * @returns what is to be shown of it, and how it is since; null if it could not be let run on
 */
export async function runOnLeftBehind(
  member: Member,
  problem: string,
  context: Marks & Pick<SuspensionContext, 'nowUs'>,
): Promise<{ change: Partial<MachineRun>; since: string | null }> {
  let { since } = member;
  let detail = problem;
  try {
    if (member.saver) {
      const how = await runOn(member, member.saver, context);
      detail = [problem, ...how.problems].join('; ');
      since = how.detail;
    }
  } catch (error) {
    detail = `${problem}; it could not be let run on either: ${saidBy(error)}`;
  }
  const { suspendedAtUs } = member.run;
  const blackoutUs = suspendedAtUs !== null && since !== null ? context.nowUs() - suspendedAtUs : null;
  return { change: { stage: 'left_behind', detail, blackoutUs }, since };
}

/**
 * Lets a machine run on because its update has ended here. One that runs on already is left alone.
 *
 * @returns what is to be shown of it, null if that is nothing new, and what went wrong
 */
async function runOnAtEnd(
  member: Member,
  context: Marks & Pick<SuspensionContext, 'nowUs' | 'isStopped'>,
): Promise<{ change: Partial<MachineRun> | null; problems: string[] }> {
  const { adopted, run, saver, since } = member;
  const { stage, detail, suspendedAtUs } = run;
  if (saver === null || stage === 'running') return { change: null, problems: [] };
  // Somebody else goes on trying (`stopped-machines.ts`).
  if (stage === 'held') return { change: null, problems: context.isStopped(adopted.session) ? [detail] : [] };
  if (since !== null) return { change: { stage: 'running', detail: `${since}; ${detail}` }, problems: [] };
  try {
    const how = await runOn(member, saver, context);
    const blackoutUs = suspendedAtUs === null ? null : context.nowUs() - suspendedAtUs;
    return {
      change: { stage: 'running', detail: how.detail, newPid: run.pid, blackoutUs },
      problems: how.problems,
    };
  } catch (error) {
    const problem = `${run.name} could not run on: ${saidBy(error)}`;
    // It runs, and what the update has changed of it is noted and put back later.
    if (suspendedAtUs === null) {
      const never = `it was never stopped, but its settings are not as before yet: ${saidBy(error)}`;
      return { change: { stage: 'running', detail: never }, problems: [`${run.name}: ${never}`] };
    }
    return { change: { stage: 'held', detail: problem }, problems: [problem] };
  }
}

/**
 * The same, without waiting for a VMM that does not answer. It is told to run until it does.
 *
 * @param show shows what is new of the machine
 * @returns what went wrong, in words
 */
export async function runOnInTime(
  member: Member & Leaving,
  context: Parameters<typeof runOnAtEnd>[1],
  show: (change: Partial<MachineRun>) => void,
): Promise<string[]> {
  // It was waited for already, and is told to run still.
  if (member.isLate)
    return context.isStopped(member.adopted.session) ? [`${member.run.name}: ${member.run.detail}`] : [];
  const problems: string[] = [];
  const before = member.leaving;
  const going = async (): Promise<void> => {
    // Two attempts at one time would be in each other's way.
    await before;
    const { change, problems: some } = await runOnAtEnd(member, context);
    if (member.isLate) return;
    problems.push(...some);
    if (change !== null) show(change);
  };
  const leaving = going();
  member.leaving = leaving;
  const late = (): Error => new Error(`its VMM did not answer within ${runOnMs} ms`);
  await inTime(leaving, runOnMs, late).catch((error: unknown) => {
    member.isLate = true;
    const problem = `${saidBy(error)}, and is told to run until it does`;
    if (member.run.suspendedAtUs !== null) show({ stage: 'held', detail: problem });
    problems.push(`${member.run.name}: ${problem}`);
  });
  if (!member.isLate) member.leaving = null;
  return problems;
}
