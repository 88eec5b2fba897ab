// SPDX-License-Identifier: Apache-2.0
/**
 * The agent's side. Machines are started by hand, adopted, and updated again and again from one kernel into the other
 * and back, as an operator would do it. The agent itself says how long each part of the blackout took, in its record of
 * the update.
 */
import type { AgentClient } from '@luo-console/agent/client';
import type { MachineRun, Update } from '@luo-console/agent/interface';
import { ConnectionLost } from '@luo-console/agent/varlink';
import type { LabHost } from '../../src/index.ts';
import { connect, kernelsOf, runIn } from '../host.ts';
import { commandLineOf, monitorOf } from './guests.ts';
import { blackoutParts, type Load, type Measured, type PartEnds, type PartTimes, timesOf } from './parts.ts';

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

/**
 * When each part was over for a machine.
 *
 * @throws Error if the machine does not run again, or a part is missing
 */
export function endsOf({ name, stage, detail, parts }: MachineRun): PartEnds {
  if (stage !== 'resumed') throw new Error(`machine ${name} was not resumed but ${stage}: ${detail}`);
  return Object.fromEntries(
    blackoutParts.map((part) => {
      const timing = parts.find((each) => each.part === part);
      if (timing === undefined) throw new Error(`machine ${name}: the agent reports no part ${part}`);
      return [part, timing.startedAtUs + timing.durationUs];
    }),
  ) as Record<(typeof blackoutParts)[number], number>;
}

/** The parts of an update of so many machines. @throws Error if it did not succeed, or machines are missing */
export function timesOfUpdate(update: Update, guests: number): PartTimes {
  if (update.outcome !== 'updated')
    throw new Error(`update ${update.id}: ${update.outcome}, ${update.reason}`);
  if (update.machines.length !== guests)
    throw new Error(`update ${update.id}: ${update.machines.length} machines, expected ${guests}`);
  return timesOf(update.machines.map(endsOf));
}

/** Starts machines as services of the host and has the agent adopt them. Returns their names. */
async function adoptGuests(host: LabHost, agent: AgentClient, { guests, memoryMiB }: Load): Promise<void> {
  for (const guest of numbers(guests)) {
    const words = commandLineOf(guest, memoryMiB).join(' ');
    await runIn(host, `systemd-run --quiet --collect --unit=bench-guest-${guest} ${words}`);
  }
  // A monitor that listens is a machine that has been set up.
  const listening = numbers(guests).map((guest) => `[ -S ${monitorOf(guest)} ]`);
  await runIn(host, `timeout 120 sh -c 'until ${listening.join(' && ')}; do sleep 0.1; done'`);
  const { machines } = await agent.call('ListMachines', {});
  if (machines.length !== guests)
    throw new Error(`the agent found ${machines.length} machines, expected ${guests}`);
  for (const { pid } of machines) await agent.call('AdoptMachine', { pid, unlink: null });
}

/** Ends all machines, in whatever unit they are by now. */
async function endGuests(host: LabHost, agent: AgentClient): Promise<void> {
  const { machines } = await agent.call('ListMachines', {});
  for (const { pid, session } of machines) {
    if (session !== null) await agent.call('ReleaseMachine', { pid });
    await runIn(host, `kill -KILL ${pid}; while [ -e /proc/${pid} ]; do sleep 0.1; done`);
  }
}

/** One update into the kernel that does not run. */
async function updateOnce(host: LabHost, agent: AgentClient): Promise<Update> {
  const bootId = await host.bootId();
  const [, next] = await kernelsOf(host);
  const { plan } = await agent.call('MakePlan', {
    kernel: next,
    initrd: null,
    commandLine: null,
    leave: null,
    ifMachineFails: 'stop',
  });
  let id: string | undefined;
  try {
    for await (const { progress } of agent.stream('RunUpdate', { plan: plan.id, graceSeconds: 0 })) {
      id = progress.update;
    }
  } catch (error) {
    if (!(error instanceof ConnectionLost)) throw error;
  }
  if (id === undefined) throw new Error(`plan ${plan.id}: the agent ended the call without having begun`);
  await host.waitForBoot(bootId);
  const after = await connect(host);
  try {
    for await (const { update } of after.stream('FollowUpdate', { update: id })) if (update) return update;
  } finally {
    after.close();
  }
  throw new Error(`update ${id}: the agent did not say how it ended`);
}

/**
 * Measures the agent.
 *
 * @param onUpdate called after each update, with how many there were
 * @throws Error when an update fails, or a machine does not come through it
 */
export async function measureAgent(
  host: LabHost,
  loads: readonly Load[],
  runs: number,
  onUpdate: (done: number) => void,
): Promise<Measured> {
  const measured = new Map<Load, PartTimes[]>();
  let done = 0;
  for (const load of loads) {
    const updates: PartTimes[] = [];
    measured.set(load, updates);
    for (const run of numbers(runs)) {
      const agent = await connect(host);
      try {
        if (run === 0) {
          await endGuests(host, agent);
          await adoptGuests(host, agent, load);
        }
        updates.push(timesOfUpdate(await updateOnce(host, agent), load.guests));
      } finally {
        agent.close();
      }
      onUpdate(++done);
    }
  }
  return measured;
}
