// SPDX-License-Identifier: Apache-2.0
/** `luocon update` and `luocon abort`: the live update itself, and aborting it. */
import type { Command } from 'commander';
import type { AgentClient } from '../../client/index.ts';
import type { Plan, Update } from '../../interface/agent.generated.ts';
import { longestGraceSeconds } from '../../interface/limits.ts';
import { wholeNumber } from '../arguments.ts';
import { type Act, type Invocation, required, UsageError } from '../invocation.ts';
import { ProgressLog } from '../progress-log.ts';
import { hasLosses, showUpdate } from '../update-report.ts';
import type { WatchOptions } from '../watch-update.ts';
import { type ExitStatus, exitStatus, statusOfOutcome } from '../words/exit-status.ts';
import { findKernel, hasPlanOptions, makePlan, type PlanOptions, showPlan, withPlanOptions } from './plan.ts';

interface UpdateOptions extends PlanOptions {
  readonly grace?: number;
  readonly yes?: boolean;
  readonly wait: number;
}

function watchOptions(invocation: Invocation, giveUpAfterMs: number): WatchOptions {
  const { screen, json, signal } = invocation;
  const log = new ProgressLog(screen);
  const connection = (state: string): void => screen.json({ connection: state });
  return {
    connect: () => invocation.connect(true),
    giveUpAfterMs,
    signal,
    onProgress: (progress) => (json ? screen.json({ progress }) : log.show(progress)),
    onAway: () => (json ? connection('away') : log.away()),
    onWaiting: (ms) => (json ? undefined : log.waiting(ms)),
    onBack: () => (json ? connection('back') : log.back()),
  };
}

/** Shows what will happen and has the host's name typed. @returns whether it was */
async function confirm({ screen }: Invocation, agent: AgentClient, target: string): Promise<boolean> {
  const { hostName } = (await agent.call('GetStatus', {})).status;
  const typed = await screen.ask(
    `This replaces the running kernel of ${hostName} (${target}). Type the host’s name to go on: `,
  );
  if (typed.trim() === hostName) return true;
  screen.complain(`Expected "${hostName}". Nothing was done.`);
  return false;
}

/** Makes a plan for a kernel, or takes the argument for a plan made before. */
async function planFor(
  invocation: Invocation,
  agent: AgentClient,
  text: string,
  options: UpdateOptions,
): Promise<{ id: string; plan: Plan | null }> {
  const kernel = await findKernel(invocation, agent, text);
  if (kernel === null) {
    if (hasPlanOptions(options)) {
      const given = '--initrd, --command-line, --leave and --if-machine-fails';
      throw new UsageError(
        `${text} is a plan, which has these already: ${given}; leave them out, or name a kernel`,
      );
    }
    return { id: text, plan: null };
  }
  const plan = await makePlan(invocation, agent, kernel, options);
  return { id: plan.id, plan };
}

function statusOf(update: Update): ExitStatus {
  const { outcome } = update;
  if (outcome === 'updated' && hasLosses(update)) return exitStatus.losses;
  return outcome === null ? exitStatus.unknown : statusOfOutcome[outcome];
}

async function report(invocation: Invocation, id: string, update: Update | null): Promise<ExitStatus> {
  const { screen, json } = invocation;
  if (update === null) {
    if (json) screen.json({ update });
    screen.complain(`luocon: no record of update "${id}"; the outcome is unknown`);
    return exitStatus.unknown;
  }
  if (json) screen.json({ update });
  else {
    screen.line();
    await showUpdate(screen, update);
  }
  return statusOf(update);
}

async function run(invocation: Invocation, text: string, options: UpdateOptions): Promise<ExitStatus> {
  const { screen, json } = invocation;
  const { yes = false, grace = null, wait } = options;
  if (!yes && (json || !screen.interactive)) {
    throw new UsageError('update: expected --yes, because there is no terminal to ask for the host’s name');
  }
  const { runToOutcome, StillAway } = await import('../watch-update.ts');
  const agent = await invocation.connect();
  try {
    const { id, plan } = await planFor(invocation, agent, text, options);
    if (plan !== null) {
      if (json) screen.json({ plan });
      else await showPlan(screen, plan);
      if (!plan.runnable) return exitStatus.checkFailed;
    }
    const target = plan === null ? `plan ${id}` : `to ${plan.kernel.release}`;
    if (!yes && !(await confirm(invocation, agent, target))) return exitStatus.failed;
    if (!json) screen.line();
    const ended = await runToOutcome(
      agent,
      { plan: id, graceSeconds: grace },
      watchOptions(invocation, wait * 1000),
    );
    return await report(invocation, ended.id, ended.update);
  } catch (error) {
    if (invocation.signal.aborted) {
      screen.complain(
        'luocon: no longer watching. If the update has begun, it goes on; "luocon abort" aborts it.',
      );
      throw error;
    }
    if (!(error instanceof StillAway)) throw error;
    screen.complain(
      `luocon: ${error.message} and has not returned; the outcome is unknown, see "luocon history" later`,
    );
    return exitStatus.connection;
  } finally {
    agent.close();
  }
}

export function addUpdate(program: Command, act: Act): void {
  withPlanOptions(
    program
      .command('update')
      .description('replace the running kernel by a live update, and follow it to its outcome')
      .argument('<kernel-or-plan>', 'path or release of a kernel on the host, or a plan made before')
      .option(
        '--grace <seconds>',
        `how long the announced kexec waits for an abort, at most ${longestGraceSeconds}`,
        wholeNumber(0, longestGraceSeconds),
      )
      .option('-y, --yes', 'do not ask for the host’s name')
      .option('--wait <seconds>', 'give up after the host has been away this long', wholeNumber(1), 600),
  ).action(act<UpdateOptions>((invocation, [text], options) => run(invocation, required(text), options)));
}

export function addAbort(program: Command, act: Act): void {
  program
    .command('abort')
    .description('abort the live update under way, before the kexec')
    .option('--reason <text>', 'the reason, for the journal')
    .option('--close-sessions', 'also close sessions that existed before the update')
    .action(
      act<{ reason?: string; closeSessions?: boolean }>(
        async (invocation, _args, { reason, closeSessions }) => {
          const parameters = { reason: reason ?? null, closeSessions: closeSessions ?? null };
          const reply = await invocation.withAgent((agent) => agent.call('AbortUpdate', parameters));
          if (invocation.json) invocation.screen.json(reply);
          else await showUpdate(invocation.screen, reply.update);
          return reply.update.outcome === 'aborted' ? undefined : exitStatus.failed;
        },
      ),
    );
}
