// SPDX-License-Identifier: Apache-2.0
/** A live update from beginning to end, by a client of the agent that comes back once the host is there again. */
import type { AgentClient } from '@luo-console/agent/client';
import {
  BlackoutPart,
  type FailurePolicy,
  type MachineRun,
  type Plan,
  type Progress,
  type Update,
} from '@luo-console/agent/interface';
import { expect } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { connect } from './host.ts';

/** The plan of an update into the kernel whose release ends so. */
export async function planFor(
  agent: AgentClient,
  releaseEnd: string,
  options: { readonly leave?: number[]; readonly ifMachineFails?: FailurePolicy } = {},
): Promise<Plan> {
  const { kernels } = await agent.call('ListKernels', {});
  const kernel = kernels.find(({ release }) => release.endsWith(releaseEnd));
  if (!kernel) throw new Error(`no kernel ${releaseEnd} among ${kernels.map(({ release }) => release)}`);
  return (await agent.call('MakePlan', { ...options, kernel: kernel.path })).plan;
}

/** What an agent says to whoever follows an update. */
export interface Reply {
  readonly progress: Progress | null;
  readonly update: Update | null;
}

/** An update as it was settled, waited for if it is not. */
export async function settled(
  agent: AgentClient,
  id: string,
  onReply: (reply: Reply) => void = () => {},
): Promise<Update> {
  for await (const reply of agent.stream('FollowUpdate', { update: id })) {
    onReply(reply);
    if (reply.update) return reply.update;
  }
  throw new Error(`update ${id}: the agent ended its report before it was settled`);
}

/**
 * Runs a plan to where it is settled: in the next kernel, or in this one if the kexec did not happen.
 *
 * @param options.onReply hears everything that the agents say of it, in both kernels
 * @returns how it was settled, and a client of the agent that settled it; the one that was given is closed if that is
 *   another one
 */
export async function runPlan(
  host: LabHost,
  agent: AgentClient,
  plan: Plan,
  options: { readonly graceSeconds?: number; readonly onReply?: (reply: Reply) => void } = {},
): Promise<{ update: Update; agent: AgentClient }> {
  const { graceSeconds = 0, onReply = () => {} } = options;
  const before = await host.bootId();
  let last: Progress | null = null;
  let ended = false;
  try {
    for await (const { progress } of agent.stream('RunUpdate', { plan: plan.id, graceSeconds })) {
      onReply({ progress, update: null });
      last = progress;
    }
    ended = true;
  } catch (error) {
    // The connection ends with the kernel, perhaps before its last word has arrived: saving takes a tenth of a second.
    // Anything else that ends it is an error, and so is a host that is not in another boot afterwards.
    if (last?.phase !== 'kexec' && last?.phase !== 'suspending') throw error;
  }
  if (!last) throw new Error('the agent said nothing of its update');
  if (ended) return { update: await settled(agent, last.update, onReply), agent };
  await host.waitForBoot(before);
  agent.close();
  const next = await connect(host);
  return { update: await settled(next, last.update, onReply), agent: next };
}

/**
 * Runs a plan through the kexec.
 *
 * @returns as `runPlan`
 * @throws Error with what the agent says of it if the host stays in this kernel
 */
export async function carryOut(
  host: LabHost,
  agent: AgentClient,
  plan: Plan,
): Promise<{ update: Update; agent: AgentClient }> {
  expect(plan.runnable, JSON.stringify(plan.checks.filter(({ verdict }) => verdict === 'fail'))).toBe(true);
  const done = await runPlan(host, agent, plan);
  if (done.agent === agent)
    throw new Error(`the update was not carried out: ${JSON.stringify(done.update, null, 1)}`);
  return done;
}

/**
 * Aborts an update while its kexec is announced and an abort is still possible.
 *
 * @returns how it was settled
 */
export async function abortInGrace(
  host: LabHost,
  agent: AgentClient,
  plan: Plan,
  { closeSessions = false }: { readonly closeSessions?: boolean } = {},
): Promise<Update> {
  const other = await connect(host);
  try {
    let aborted: Promise<{ update: Update }> | null = null;
    for await (const { progress } of agent.stream('RunUpdate', { plan: plan.id, graceSeconds: 600 })) {
      if (progress.graceEndsAtUs === null) continue;
      aborted ??= other.call('AbortUpdate', { reason: 'a test calls it off', closeSessions });
    }
    if (aborted === null) throw new Error('the kexec was never announced');
    return (await aborted).update;
  } finally {
    other.close();
  }
}

/** Who brought each machine of an update back, by its name, as the journal says. */
export async function broughtBackBy(agent: AgentClient, { id }: Update): Promise<Record<string, unknown>> {
  const { entries } = await agent.call('QueryJournal', { name: 'machine.resumed', update: id });
  return Object.fromEntries(
    entries.map(({ parameters }) => {
      const { name, broughtBackBy: who } = parameters as { name: string; broughtBackBy: string };
      return [name, who];
    }),
  );
}

/** How far the parts of a blackout may be from its whole, in µs: each is rounded to whole ones. */
const roundingUs = 16;

/** Fails unless a machine ran again, and its blackout is made of all its parts, one after the other. */
export function expectWholeBlackout(machine: MachineRun): void {
  const { name, parts, blackoutUs } = machine;
  expect(machine, name).toMatchObject({ stage: 'resumed' });
  expect(
    parts.map(({ part }) => part),
    name,
  ).toEqual(BlackoutPart.options);
  for (const [index, { part, startedAtUs }] of parts.entries()) {
    const before = parts[index - 1];
    if (!before) continue;
    const gap = startedAtUs - (before.startedAtUs + before.durationUs);
    expect(Math.abs(gap), `${name}: ${before.part} is followed by ${part}`).toBeLessThanOrEqual(roundingUs);
  }
  const sum = parts.reduce((total, { durationUs }) => total + durationUs, 0);
  expect(Math.abs(sum - (blackoutUs ?? 0)), `${name}: ${sum} of ${blackoutUs} µs`).toBeLessThanOrEqual(
    roundingUs,
  );
}

/** A machine's blackout in a line, for whoever reads the output of the tests. */
export function blackoutLine({ name, way, blackoutUs, parts }: MachineRun): string {
  const ms = (us: number): string => `${Math.round(us / 1000)} ms`;
  const each = parts.map(({ part, durationUs }) => `${part} ${ms(durationUs)}`);
  return `${name} (${way}): ${blackoutUs === null ? 'not resumed' : ms(blackoutUs)} = ${each.join(' + ')}`;
}

/** Fails unless the record tells the kernel's boot whole, with the memory that was preserved. */
export function expectWholeBoot({ bootStretches, machines }: Update): void {
  const told = (bootStretches ?? []).map(({ what }) => what);
  expect(told).toContain('finding preserved memory, giving out the rest');
  expect(told.at(-1)).toBe('the rest');
  const wholeUs = (bootStretches ?? []).reduce((sum, { durationUs }) => sum + durationUs, 0);
  const parts = machines.flatMap((machine) => machine.parts.filter(({ part }) => part === 'boot'));
  expect(parts.length).toBe(machines.length);
  // The clock of the kernel's log may be ahead of the carrier's, and the part ends with the earlier of them.
  for (const { durationUs } of parts) expect(durationUs).toBeLessThanOrEqual(wholeUs);
}
