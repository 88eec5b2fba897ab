// SPDX-License-Identifier: Apache-2.0
/**
 * Watches a live update: its phases until the connection ends with the kernel, and then until the agent in the next
 * kernel has settled it.
 */

import type { AgentClient } from '@luo-console/agent/client';
import type { Progress, Update } from '@luo-console/agent/interface';
import { ConnectionLost } from '@luo-console/agent/varlink';
import { showStep } from '../../bootstrap/terminal.mjs';

/** Shows phases, one after the other, each with the time it took. */
class PhaseDisplay {
  #phase: string | undefined;
  #shown: ReturnType<typeof showStep> | undefined;

  show(progress: Progress): void {
    if (progress.phase !== this.#phase) {
      this.end();
      this.#phase = progress.phase;
      this.#shown = showStep(progress.phase, process.stdout);
    }
    const { done, total, message } = progress;
    const far = done !== null && total !== null && total > 0 ? ` ${Math.floor((100 * done) / total)} %` : '';
    this.#shown?.detail(`${message}${far}`);
  }

  end(): void {
    this.#shown?.done();
    this.#shown = undefined;
  }
}

/**
 * Runs a plan and shows its phases until the connection ends with the kernel.
 *
 * @param graceSeconds how long the announced kexec waits
 * @returns the update's id, and whether the host went away: it does not if the kexec came back with an error
 * @throws what the agent answered, if it refused or aborted the update
 */
export async function runPlan(
  agent: AgentClient,
  plan: string,
  graceSeconds: number,
): Promise<{ id: string; away: boolean }> {
  const display = new PhaseDisplay();
  let last: Progress | undefined;
  let away = false;
  try {
    for await (const { progress } of agent.stream('RunUpdate', { plan, graceSeconds })) {
      last = progress;
      display.show(progress);
    }
  } catch (error) {
    // Losing the connection is how a kexec looks from here.
    if (!(error instanceof ConnectionLost) || last === undefined) throw error;
    away = true;
  } finally {
    display.end();
  }
  if (last === undefined) throw new Error(`plan ${plan}: the agent ended the call without having begun`);
  return { id: last.update, away };
}

/**
 * Waits until an update is settled, showing its phases.
 *
 * @param id the update
 */
export async function followToTheEnd(agent: AgentClient, id: string): Promise<Update> {
  const display = new PhaseDisplay();
  try {
    for await (const { status } of agent.stream('GetStatus', {})) {
      if (status.progress?.update === id) display.show(status.progress);
      const { update } = await agent.call('GetUpdate', { id });
      if (update.outcome !== null) return update;
    }
  } finally {
    display.end();
  }
  throw new Error(`update ${id}: the agent ended the call before it was settled`);
}
