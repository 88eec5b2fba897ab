// SPDX-License-Identifier: Apache-2.0
/** A live update of a host through its agent, from the plan to the outcome, wherever that is known. */
import type { AgentClient } from '@luo-console/agent/client';
import type { Update } from '@luo-console/agent/interface';
import { ConnectionLost } from '@luo-console/agent/varlink';
import type { LabHost } from '../../src/index.ts';
import { connect } from './host.ts';
import { planFor, settled } from './update.ts';

/**
 * Updates a host into its kernel of that suffix.
 *
 * @param agent is closed if the host went into another kernel
 * @returns the settled update, and a client of the agent that settled it
 */
export async function updateHost(
  host: LabHost,
  agent: AgentClient,
  suffix: string,
): Promise<{ agent: AgentClient; update: Update }> {
  const bootId = await host.bootId();
  const plan = await planFor(agent, suffix);
  let id: string | null = null;
  try {
    for await (const { progress } of agent.stream('RunUpdate', { plan: plan.id, graceSeconds: 0 }))
      id = progress.update;
    if (id !== null) return { agent, update: await settled(agent, id) };
  } catch (error) {
    if (!(error instanceof ConnectionLost)) throw error;
  }
  if (id === null) throw new Error(`the update of ${host.name} ended before it began`);
  agent.close();
  await host.waitForBoot(bootId);
  const next = await connect(host);
  return { agent: next, update: await settled(next, id) };
}
