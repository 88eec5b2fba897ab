// SPDX-License-Identifier: Apache-2.0
/** `luocon plan`: what an update would do, before anything is done. */
import { type Command, Option } from 'commander';
import type { AgentClient } from '../../client/index.ts';
import type { CheckVerdict, FailurePolicy, Plan, PlannedMachine } from '../../interface/agent.generated.ts';
import { longestStopSeconds } from '../../interface/limits.ts';
import { wholeNumber } from '../arguments.ts';
import { type Act, type Invocation, required, UsageError } from '../invocation.ts';
import type { Screen, Tone } from '../screen.ts';
import { exitStatus } from '../words/exit-status.ts';
import { findMachine, orderWords, spreadWords, wayWords } from '../words/machines.ts';
import { duration, size } from '../words/quantities.ts';
import { type KernelOptions, kernelParameters, withKernelOptions } from './kernels.ts';

const tones: Readonly<Record<CheckVerdict, Tone>> = { pass: 'good', warn: 'warning', fail: 'bad' };

const policies: Readonly<Record<FailurePolicy, string>> = {
  stop: 'the update is aborted and every machine runs on',
  leave: 'it is left behind and ends; the update goes on',
};

/** Options of everything that makes a plan. */
export interface PlanOptions extends KernelOptions {
  readonly leave?: readonly string[];
  readonly despite?: readonly string[];
  readonly ifMachineFails?: FailurePolicy;
  readonly stopLimit?: number;
}

/** Of an option that may be given more than once. */
const added = (machine: string, before: readonly string[] = []): readonly string[] => [...before, machine];

/** Gives a command the options of `PlanOptions`. */
export function withPlanOptions(command: Command): Command {
  return withKernelOptions(command)
    .option(
      '--leave <machine>',
      'a machine to leave behind, by name or pid: it ends; may be given more than once',
      added,
    )
    .option(
      '--despite <machine>',
      'a machine to carry over although its rehearsal failed, by name or pid; may be given more than once',
      added,
    )
    .addOption(
      new Option('--if-machine-fails <policy>', 'what to do if a machine cannot be saved').choices([
        'stop',
        'leave',
      ]),
    )
    .option(
      '--stop-limit <seconds>',
      'how long machines may be stopped before the kexec; after that the update is aborted and they run on',
      wholeNumber(1, longestStopSeconds),
    );
}

/** Whether any of them was given: a plan that was made before has its own. */
export const hasPlanOptions = ({
  initrd,
  commandLine,
  leave,
  despite,
  ifMachineFails,
  stopLimit,
}: PlanOptions): boolean =>
  [initrd, commandLine, leave, despite, ifMachineFails, stopLimit].some((option) => option !== undefined);

/** Makes a plan for a kernel. */
export async function makePlan(
  invocation: Invocation,
  agent: AgentClient,
  kernel: string,
  options: PlanOptions,
): Promise<Plan> {
  const pidsOf = async (machines: readonly string[] = []): Promise<number[] | null> => {
    const pids: number[] = [];
    for (const which of machines) pids.push((await findMachine(agent, which)).pid);
    return pids.length === 0 ? null : pids;
  };
  const { plan } = await agent.call('MakePlan', {
    kernel,
    ...kernelParameters(invocation, options),
    leave: await pidsOf(options.leave),
    despite: await pidsOf(options.despite),
    ifMachineFails: options.ifMachineFails ?? null,
    stopLimitSeconds: options.stopLimit ?? null,
  });
  return plan;
}

/** What happens to a machine, in a word or two. */
const fateOf = ({ leave, way, session }: PlannedMachine): string => {
  if (leave) return 'left behind';
  if (way === 'none') return 'ends: cannot be carried over';
  return session === null ? 'ends: not adopted' : 'carried over';
};

/** What was measured the last time says more than an estimate of a part of it. */
function blackoutOf({ measuredBlackoutUs, expectedBlackoutUs }: Plan['machines'][number]): string {
  if (measuredBlackoutUs !== null) return `about ${duration(measuredBlackoutUs)}`;
  return expectedBlackoutUs === null ? 'unknown' : `over ${duration(expectedBlackoutUs)}`;
}

/** How long the VMM may take to save it. */
const saveLimitOf = ({ saveLimitUs }: PlannedMachine): string =>
  saveLimitUs === null ? '' : duration(saveLimitUs);

async function showMachines(
  screen: Screen,
  { machines, graph, ifMachineFails, expectedBlackouts }: Plan,
): Promise<void> {
  if (machines.length === 0) return;
  await screen.table(
    ['machine', 'pid', 'memory', 'what happens', 'way', 'priority', 'blackout', 'save limit', 'session'],
    machines.map((machine) => [
      machine.name,
      String(machine.pid),
      machine.memory === null ? '' : size(machine.memory),
      fateOf(machine),
      wayWords[machine.way],
      machine.priority === null ? '' : String(machine.priority),
      machine.leave || machine.way === 'none' ? '' : blackoutOf(machine),
      saveLimitOf(machine),
      machine.session ?? '',
    ]),
    (row) => (machines[row]?.session === null || machines[row]?.leave ? 'warning' : 'plain'),
  );
  for (const { name, detail, risk } of machines) {
    screen.paragraph(
      '    ',
      `${name}: ${[detail, risk === '' ? '' : `Risk: ${risk}`].filter(Boolean).join(' ')}`,
    );
  }
  if (graph.cycle.length > 0) screen.toned('bad', `Order: ${orderWords(graph)}`);
  else if (graph.order.length > 0) screen.paragraph('', `Order: ${orderWords(graph)}`);
  if (expectedBlackouts !== null) screen.line(`Blackouts (estimate): ${spreadWords(expectedBlackouts)}.`);
  screen.line(`If a machine cannot be saved: ${policies[ifMachineFails]}.`);
  screen.line();
}

/** The whole of a plan: steps with their risks, checks, and whether it can be run. */
export async function showPlan(screen: Screen, plan: Plan): Promise<void> {
  screen.facts([
    ['Plan', plan.id],
    ['Kernel', `${plan.kernel.release} (${plan.kernel.path})`],
    ['Command line', plan.commandLine],
  ]);
  screen.line();
  plan.steps.forEach((step, index) => {
    const number = `${index + 1}.`.padStart(3);
    screen.line(`${number} ${step.title} (${step.phase}${step.reversible ? '' : ', cannot be undone'})`);
    if (step.detail !== '') screen.paragraph('    ', step.detail);
    screen.paragraph('    ', `Risk: ${step.risk}`);
  });
  screen.line();
  await showMachines(screen, plan);
  if (plan.stopLimitUs !== null) {
    const limit = duration(plan.stopLimitUs);
    screen.line(`Stop limit: ${limit}. After that the update is aborted and the machines run on.`);
    screen.line();
  }
  await screen.table(
    ['check', 'verdict', 'detail'],
    plan.checks.map((check) => [check.name, check.verdict, check.detail]),
    (row) => tones[plan.checks[row]?.verdict ?? 'fail'],
  );
  screen.line();
  if (plan.runnable) screen.line('The plan can be run.');
  else screen.toned('bad', 'The plan cannot be run: a check failed.');
}

/**
 * The image that a person means: a path, or the release of an installed kernel.
 * @returns null if it is neither
 */
export async function findKernel(
  invocation: Invocation,
  agent: AgentClient,
  text: string,
): Promise<string | null> {
  if (text.includes('/')) return invocation.hostPath(text);
  const { kernels } = await agent.call('ListKernels', {});
  return kernels.find((kernel) => kernel.release === text)?.path ?? null;
}

export function addPlan(program: Command, act: Act): void {
  withPlanOptions(
    program
      .command('plan')
      .description('show what a live update to a kernel would do; changes nothing')
      .argument('<kernel>', 'path of its image on the host, or the release of an installed kernel'),
  ).action(
    act<PlanOptions>((invocation, [argument], options) =>
      invocation.withAgent(async (agent) => {
        const text = required(argument);
        const kernel = await findKernel(invocation, agent, text);
        if (kernel === null)
          throw new UsageError(
            `${text}: expected a path or the release of an installed kernel; "luocon kernels" lists them`,
          );
        const plan = await makePlan(invocation, agent, kernel, options);
        if (invocation.json) invocation.screen.json({ plan });
        else await showPlan(invocation.screen, plan);
        return plan.runnable ? undefined : exitStatus.checkFailed;
      }),
    ),
  );
}
