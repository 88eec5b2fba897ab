// SPDX-License-Identifier: Apache-2.0
/** `luoctl plan`: what an update would do, before anything is done. */
import type { Command } from 'commander';
import type { AgentClient } from '../../client/index.ts';
import type { CheckVerdict, Plan } from '../../interface/agent.generated.ts';
import { exitStatus } from '../exit-status.ts';
import { type Act, type Invocation, required, UsageError } from '../invocation.ts';
import type { Screen, Tone } from '../screen.ts';
import { type KernelOptions, kernelParameters, withKernelOptions } from './kernels.ts';

const tones: Readonly<Record<CheckVerdict, Tone>> = { pass: 'good', warn: 'warning', fail: 'bad' };

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
  withKernelOptions(
    program
      .command('plan')
      .description('show what a live update into a kernel would do; changes nothing')
      .argument('<kernel>', 'path of its image on the host, or the release of an installed one'),
  ).action(
    act<KernelOptions>((invocation, [argument], options) =>
      invocation.withAgent(async (agent) => {
        const text = required(argument);
        const kernel = await findKernel(invocation, agent, text);
        if (kernel === null)
          throw new UsageError(`${text}: expected a path, or the release of an installed kernel`);
        const reply = await agent.call('MakePlan', { kernel, ...kernelParameters(invocation, options) });
        if (invocation.json) invocation.screen.json(reply);
        else await showPlan(invocation.screen, reply.plan);
        return reply.plan.runnable ? undefined : exitStatus.checkFailed;
      }),
    ),
  );
}
