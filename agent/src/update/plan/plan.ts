// SPDX-License-Identifier: Apache-2.0
/**
 * The plan: what a live update will do, step by step, and what each step can cost, before anything happens. The
 * steps follow from facts alone (`record/steps.ts`), and the update does these steps and no others. A plan
 * remembers what it was made from; if that has changed, it is stale and does not run.
 */

import { fillingBytes } from '../../adoption/filling.ts';
import type { VmmFacts } from '../../adoption/vmm-facts.ts';
import { ProcessGone } from '../../host/process-files.ts';
import { Refusal } from '../../host/refusal.ts';
import { saidBy } from '../../host/said-by.ts';
import type {
  FailurePolicy,
  KernelImage,
  Machine,
  MachineRun,
  Plan,
  PlannedMachine,
  Way,
} from '../../interface/agent.generated.ts';
import { checkCommandLine } from '../../kernel/loader.ts';
import { orderOf } from '../../machines/order.ts';
import { vmmFacts } from '../program/vmm-facts.ts';
import { expectedSpread, isCarried } from '../record/blackout-spread.ts';
import type { UpdateFacts } from '../record/facts.ts';
import { makeId } from '../record/record.ts';
import { type PlannedStep, stepsOf } from '../record/steps.ts';
import type { UpdateContext } from '../record/update-context.ts';
import { carrierUse, commandLineFor, type KnownVmms, type Obstacles } from './carrier-use.ts';
import { planMachines } from './plan-machines.ts';
import { preflight } from './preflight.ts';
import { saveLimitUs, usualStopLimitUs, withinLimit } from './stop-limits.ts';

/** What a plan was made from. */
interface Basis {
  readonly bootId: string;
  /** Each session with its tokens, and who else has it. */
  readonly sessions: string;
  /** Each machine with its session. */
  readonly machines: string;
}

export interface MadePlan {
  readonly plan: Plan;
  readonly facts: UpdateFacts;
  /** The steps that `plan` shows. */
  readonly steps: readonly PlannedStep[];
  readonly basis: Basis;
  /** Machines, by pid, that were chosen to be left behind. */
  readonly leave: readonly number[];
  /** Machines, by pid, that are carried over although their rehearsal failed. */
  readonly despite: readonly number[];
  readonly obstacles: Obstacles;
  readonly vmms: KnownVmms;
  /** What is allocated when the machines' memory that is not preserved yet is preserved, in bytes. */
  readonly fillingBytes: number;
}

/** What somebody wants of a plan beside the kernel. */
export interface PlanWishes {
  /** Machines, by pid, to be left behind. */
  readonly leave: readonly number[];
  /** Machines, by pid, to be carried over although their rehearsal failed. */
  readonly despite: readonly number[];
  readonly ifMachineFails: FailurePolicy;
  /** The stop limit, in seconds; null for the usual one. */
  readonly stopLimitSeconds: number | null;
}

function basisOf(context: UpdateContext, machines: readonly Machine[]): Basis {
  const attended = context.attendance.sessions;
  const sessions = context.sessions.list().map((held) => {
    const { name, direction, descriptors } = held.toSession();
    const tokens = descriptors.map(({ token }) => token);
    return [name, direction, tokens, held.handedOut, attended.includes(name)];
  });
  const running = machines.filter(({ state }) => state !== 'gone').map(({ pid, session }) => [pid, session]);
  return {
    bootId: context.kernel.facts.bootId,
    sessions: JSON.stringify(sessions),
    machines: JSON.stringify(running),
  };
}

/** How long is waited for what is looked at, in ms. Monitors have limits that are shorter. */
const lookMs = 30_000;

/** @throws NotEnded if it does not answer */
const looked = async <T>({ unended }: UpdateContext, what: string, looking: Promise<T>): Promise<T> =>
  await unended.waitFor(what, looking, { limitMs: lookMs });

/** What has changed since the plan was made, in words; null if nothing has. @throws NotEnded */
export async function whatChanged(context: UpdateContext, { plan, basis }: MadePlan): Promise<string | null> {
  const now = basisOf(context, await looked(context, 'looking at all machines', context.lookAtAll()));
  if (now.bootId !== basis.bootId) return 'the host was booted since';
  if (now.sessions !== basis.sessions)
    return 'sessions, their descriptors or the programs that have them are not the ones it was made for';
  if (now.machines !== basis.machines) return 'machines were started, ended or adopted since';
  const unchanged = looked(context, `looking at ${plan.kernel.path}`, context.images.unchanged(plan.kernel));
  if (!(await unchanged)) return `${plan.kernel.path} was replaced or removed`;
  return null;
}

/**
 * Makes a plan. Changes nothing.
 *
 * @param wanted the command line; `init=` with the carrier is added if the carrier can be used, and else removed
 * @throws Refusal InvalidValue if no kernel takes the command line; NotEnded if what it looks at does not answer
 */
export async function makePlan(
  context: UpdateContext,
  kernel: KernelImage,
  wanted: string,
  { leave, despite, ifMachineFails, stopLimitSeconds }: PlanWishes,
): Promise<MadePlan> {
  const found = await looked(context, 'looking at all machines', context.lookAtAll());
  const { obstacles, vmms } = await looked(context, 'looking at the VMMs', lookAtVmms(context));
  const ways = new Map(context.adoptions.list().map(({ session, machine }) => [session, machine.way]));
  const runs = context.history.lastRuns;
  const unlimited = planMachines(
    found,
    new Set(leave),
    (session) => ways.get(session) ?? null,
    (way) => measuredUs(runs, way),
    (machine) => saveLimitUs(machine, runs),
  );
  const stopLimitUs = stopLimitOf(unlimited, context.attendance.sessions.length, stopLimitSeconds);
  const machines = withinLimit(unlimited, stopLimitUs);
  const filling = fillingOf(context, found, leave);
  const graph = orderOf(found);
  const using = carrierUse(context, { image: kernel, commandLine: wanted, machines, obstacles });
  const use = await looked(context, `looking at ${context.paths.carrier}`, using);
  const commandLine = commandLineFor(wanted, use, context.paths.carrier);
  checkCommandLine(commandLine);
  const candidate = {
    image: kernel,
    commandLine,
    machines,
    graph,
    leave,
    despite,
    obstacles,
    vmms,
    fillingBytes: filling,
    stopLimitUs,
  };
  const checks = await preflight(context, candidate);
  const facts = factsOf(context, kernel, machines, ifMachineFails);
  const steps = stepsOf(facts);
  const createdAtUs = context.nowUs();
  const plan: Plan = {
    id: makeId(createdAtUs),
    createdAtUs,
    kernel,
    commandLine,
    steps: steps.map(({ shown }) => shown),
    checks,
    runnable: checks.every(({ verdict }) => verdict !== 'fail'),
    machines,
    graph,
    ifMachineFails,
    expectedBlackouts: expectedSpread(lastCarried(context.history), facts.machines.length, context.together),
    stopLimitUs,
  };
  return {
    plan,
    facts,
    steps,
    basis: basisOf(context, found),
    leave,
    despite,
    obstacles,
    vmms,
    fillingBytes: filling,
  };
}

/**
 * Why the carrier cannot bring machines back, and what is known of their VMMs. One that has ended meanwhile has no
 * obstacle: the plan says more of it.
 */
async function lookAtVmms({
  adoptions,
  blockFiles,
  paths,
}: UpdateContext): Promise<{ obstacles: Obstacles; vmms: KnownVmms }> {
  const obstacles = new Map<string, string>();
  const vmms = new Map<string, VmmFacts>();
  for (const { session, machine } of adoptions.list()) {
    try {
      const facts = await vmmFacts(paths, machine, blockFiles.of(machine));
      vmms.set(session, facts);
      if (facts.obstacle !== null) obstacles.set(session, facts.obstacle);
    } catch (error) {
      if (!(error instanceof ProcessGone)) obstacles.set(session, saidBy(error));
    }
  }
  return { obstacles, vmms };
}

/** Of adopted machines: what came to them since. One that has ended meanwhile needs nothing. */
function fillingOf(context: UpdateContext, machines: readonly Machine[], leave: readonly number[]): number {
  const carried = machines.filter(
    ({ pid, session, state }) => session !== null && state !== 'gone' && !leave.includes(pid),
  );
  return carried.reduce((sum, machine) => {
    try {
      return sum + fillingBytes(context, machine);
    } catch (error) {
      if (error instanceof Refusal) return sum;
      throw error;
    }
  }, 0);
}

function factsOf(
  { sessions, attendance }: UpdateContext,
  { release, path, initrd }: KernelImage,
  machines: readonly PlannedMachine[],
  ifMachineFails: FailurePolicy,
): UpdateFacts {
  const attended = attendance.sessions;
  return {
    ...{ release, kernel: path, initrd, ifMachineFails },
    sessions: sessions.list().map((held) => {
      const { name: session, size: bytes, descriptors } = held.toSession();
      return {
        ...{ session, bytes, descriptors: descriptors.length },
        // By the manifest: a machine that has ended is found no more, and its session is still there.
        machine: held.machine !== null,
        handedOut: held.handedOut,
        attended: attended.includes(session),
      };
    }),
    machines: machines.flatMap(({ name, session, leave }) =>
      leave || session === null ? [] : [{ name, session }],
    ),
  };
}

/** How long the last machine that came along this way stood still, in µs; null if none did yet. */
function measuredUs(runs: readonly MachineRun[], way: Way): number | null {
  return runs.filter(isCarried).find((run) => run.way === way)?.blackoutUs ?? null;
}

/** How long all may be stopped, in µs: as wished, or as usual; null if nothing is stopped. */
function stopLimitOf(
  machines: readonly PlannedMachine[],
  attended: number,
  wishedSeconds: number | null,
): number | null {
  const usual = usualStopLimitUs(machines, attended);
  return usual === null || wishedSeconds === null ? usual : wishedSeconds * 1_000_000;
}

/** The machines of the last update that carried any over. */
function lastCarried(history: UpdateContext['history']): MachineRun[] {
  return history.last.find(({ machines }) => machines.some(isCarried))?.machines ?? [];
}
