// SPDX-License-Identifier: Apache-2.0
/**
 * The plan: the ordered steps of a live update, in words, with what each can cost, before anything happens. A
 * plan remembers what it was made from; if that has changed, it is stale and does not run.
 */

import { counted, inMebibytes } from '../../host/plain-words.ts';
import type {
  FailurePolicy,
  KernelImage,
  Machine,
  Plan,
  PlannedMachine,
  Session,
  Step,
  Way,
} from '../../interface/agent.generated.ts';
import { orderOf } from '../../machines/order.ts';
import { makeId } from '../record/record.ts';
import { stepIds } from '../record/steps.ts';
import type { UpdateContext } from '../record/update-context.ts';
import {
  planMachines,
  stepsToGetReady,
  stepsToProtect,
  stepsToResume,
  stepsToSuspend,
} from './plan-machines.ts';
import { preflight } from './preflight.ts';

/** What a plan was made from. */
interface Basis {
  readonly bootId: string;
  /** Each session with its tokens. */
  readonly sessions: string;
  /** Each machine with its session. */
  readonly machines: string;
}

export interface MadePlan {
  readonly plan: Plan;
  readonly basis: Basis;
  /** Machines, by pid, that were chosen to be left behind. */
  readonly leave: readonly number[];
}

/** What somebody wants of a plan beside the kernel. */
export interface PlanWishes {
  /** Machines, by pid, to be left behind. */
  readonly leave: readonly number[];
  readonly ifMachineFails: FailurePolicy;
}

function basisOf(context: UpdateContext, machines: readonly Machine[]): Basis {
  const sessions = context.sessions.list().map((held) => {
    const { name, direction, descriptors } = held.toSession();
    return [name, direction, descriptors.map(({ token }) => token)];
  });
  const running = machines.filter(({ state }) => state !== 'gone').map(({ pid, session }) => [pid, session]);
  return {
    bootId: context.kernel.facts.bootId,
    sessions: JSON.stringify(sessions),
    machines: JSON.stringify(running),
  };
}

/** What has changed since the plan was made, in words; null if nothing has. */
export async function whatChanged(context: UpdateContext, { plan, basis }: MadePlan): Promise<string | null> {
  const now = basisOf(context, await context.lookAtAll());
  if (now.bootId !== basis.bootId) return 'the host was booted since';
  if (now.sessions !== basis.sessions)
    return 'sessions or their descriptors are not the ones it was made for';
  if (now.machines !== basis.machines) return 'machines were started, ended or adopted since';
  if (!(await context.images.unchanged(plan.kernel))) return `${plan.kernel.path} was replaced or removed`;
  return null;
}

/** Makes a plan. Changes nothing. */
export async function makePlan(
  context: UpdateContext,
  kernel: KernelImage,
  commandLine: string,
  { leave, ifMachineFails }: PlanWishes,
): Promise<MadePlan> {
  const found = await context.lookAtAll();
  const machines = planMachines(found, new Set(leave), (way) => measuredUs(context.history, way));
  const graph = orderOf(found);
  const checks = await preflight(context, { image: kernel, commandLine, machines, graph, leave });
  const sessions = context.sessions.list().map((held) => held.toSession());
  const handedOut = new Set(
    context.sessions
      .list()
      .filter((held) => held.handedOut)
      .map(({ name }) => name),
  );
  const createdAtUs = context.nowUs();
  const plan: Plan = {
    id: makeId(createdAtUs),
    createdAtUs,
    kernel,
    commandLine,
    steps: [
      ...stepsBefore(kernel, sessions, machines, ifMachineFails),
      ...stepsAfter(kernel, sessions, handedOut, machines),
    ],
    checks,
    runnable: checks.every(({ verdict }) => verdict !== 'fail'),
    machines,
    graph,
    ifMachineFails,
  };
  return { plan, basis: basisOf(context, found), leave };
}

/** How long the last machine that came along this way stood still, in µs; null if none did yet. */
function measuredUs(history: UpdateContext['history'], way: Way): number | null {
  const runs = history.list(10, null).updates.flatMap(({ machines }) => machines);
  return (
    runs.find((run) => run.way === way && run.newPid !== run.pid && run.blackoutUs !== null)?.blackoutUs ??
    null
  );
}

function stepsBefore(
  kernel: KernelImage,
  all: readonly Session[],
  machines: readonly PlannedMachine[],
  ifMachineFails: FailurePolicy,
): Step[] {
  // What is in a machine's memory changes as long as it runs, so it has no digest.
  const theirs = new Set(machines.map(({ session }) => session));
  const sessions = all.filter(({ name }) => !theirs.has(name));
  const withInitrd = kernel.initrd === null ? 'without an initrd' : `with ${kernel.initrd}`;
  return [
    {
      id: stepIds.load,
      phase: 'preserving',
      title: `Load ${kernel.release}`,
      detail: `${kernel.path} ${withInitrd} is loaded and checked by the running kernel. Everything goes on running.`,
      risk: 'None to what runs. If the kernel refuses the image, the update ends here.',
      reversible: true,
      session: null,
    },
    ...stepsToProtect(machines),
    {
      id: stepIds.index,
      phase: 'prepared',
      title: 'Create the index session',
      detail:
        'A session named luo-console tells the agent in the next kernel what to retrieve, also with an empty disk.',
      risk: 'None. It is closed again if the update is called off; sessions that exist now stay as they are.',
      reversible: true,
      session: null,
    },
    ...sessions.map(
      ({ name, size, descriptors }): Step => ({
        id: stepIds.digest(name),
        phase: 'prepared',
        title: `Take the digests of ${name}`,
        detail: `SHA-256 of ${counted(descriptors.length, 'descriptor')}, ${inMebibytes(size)}, to compare with after the kexec.`,
        risk: 'None. Memory that a running program changes afterwards will not match its digest.',
        reversible: true,
        session: name,
      }),
    ),
    ...stepsToGetReady(machines),
    {
      id: stepIds.announce,
      phase: 'prepared',
      title: 'Announce the kexec',
      detail:
        'The announcement is written to the journal, on disk, and to the kernel log. Until its grace has run out it can be called off.',
      risk: 'None yet.',
      reversible: true,
      session: null,
    },
    ...stepsToSuspend(machines, ifMachineFails),
    {
      id: stepIds.jump,
      phase: 'kexec',
      title: `Start ${kernel.release}`,
      detail:
        'File systems are synced, the kernel freezes the sessions and starts the next one. Other services are not stopped in order: their processes end with the old kernel.',
      risk: 'Everything that is not in a session ends, as in a reset. If a session refuses to freeze, the call returns and nothing is lost. If the next kernel does not start, only a reset helps and the sessions are lost.',
      reversible: false,
      session: null,
    },
  ];
}

function stepsAfter(
  kernel: KernelImage,
  sessions: readonly Session[],
  handedOut: ReadonlySet<string>,
  machines: readonly PlannedMachine[],
): Step[] {
  const boot: Step = {
    id: 'boot',
    phase: 'booting',
    title: `${kernel.release} boots`,
    detail: 'The agent starts with the host and finds the index.',
    risk: 'If user space does not come up, the sessions stay in kernel memory until the next reset.',
    reversible: false,
    session: null,
  };
  return [
    boot,
    ...sessions.map(
      ({ name, descriptors }): Step => ({
        id: `retrieve:${name}`,
        phase: 'retrieving',
        title: `Retrieve ${name}`,
        detail: `${counted(descriptors.length, 'descriptor')}, in the order of preserving.`,
        risk: 'A descriptor that the next kernel cannot restore is lost; the others are not held up by it.',
        reversible: false,
        session: name,
      }),
    ),
    ...stepsToResume(machines),
    ...sessions.map(
      ({ name }): Step =>
        handedOut.has(name)
          ? stepLeftOpen(name)
          : {
              id: `finish:${name}`,
              phase: 'finishing',
              title: `Compare, finish and carry on ${name}`,
              detail:
                'Digests are compared, the session is finished, and one of the same name protects the memory again.',
              risk: 'None to the memory: the agent and the service manager hold it meanwhile.',
              reversible: false,
              session: name,
            },
    ),
  ];
}

/** For a session in which somebody else may have preserved something, too: only they know when it can be finished. */
function stepLeftOpen(name: string): Step {
  return {
    id: `finish:${name}`,
    phase: 'finishing',
    title: `Compare ${name} and leave it incoming`,
    detail:
      'Its descriptor was handed out, so it may hold descriptors that the agent does not know. It stays incoming until somebody finishes it, so that they can be retrieved before.',
    risk: 'Until it is finished no other live update can be run. What its holder has not retrieved by then is freed.',
    reversible: false,
    session: name,
  };
}
