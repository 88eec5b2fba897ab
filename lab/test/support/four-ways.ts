// SPDX-License-Identifier: Apache-2.0
/** Machines that somebody started by hand, one for each way of carrying over, and a live update of them all. */
import type { AgentClient } from '@luo-console/agent/client';
import type { Machine, Way } from '@luo-console/agent/interface';
import { expect } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { expectUnharmed, type Guest, type Memory, startGuest } from './guest.ts';
import { run } from './memory.ts';
import { askQemu } from './monitor.ts';
import { blackoutLine, carryOut, expectWholeBlackout, planFor } from './update.ts';

export const machinesOfAllWays: readonly { name: string; memory: Memory; way: Way; unlinks: string[] }[] = [
  { name: 'fast', memory: 'shared', way: 'cpr', unlinks: [] },
  { name: 'named', memory: 'named', way: 'named_memory', unlinks: ['/dev/shm/named'] },
  { name: 'handed', memory: 'inherited', way: 'named_memory', unlinks: [] },
  { name: 'whole', memory: 'private', way: 'whole_state', unlinks: [] },
];

/** Starts them all. None is adopted. */
export async function startAllWays(host: LabHost): Promise<Map<string, Guest>> {
  const guests = new Map<string, Guest>();
  for (const { name, memory } of machinesOfAllWays)
    guests.set(name, await startGuest(host, { name, kind: 'bare', memory }));
  return guests;
}

/** The machine of a name, as the agent shows it. */
export async function machineNamed(agent: AgentClient, name: string): Promise<Machine> {
  const { machines } = await agent.call('ListMachines', {});
  const found = machines.find((each) => each.name === name);
  if (!found) throw new Error(`there is no machine ${name}`);
  return found;
}

/**
 * Starts a machine whose memory would come back sealed against writing, and adopts it. QEMU can save it whole: its
 * memory is copied. From then on the host seals what is made in it.
 */
export async function adoptSealed(host: LabHost, agent: AgentClient, name: string): Promise<Guest> {
  await run(host, 'sysctl -w vm.memfd_noexec=1');
  const guest = await startGuest(host, { name, kind: 'bare', memory: 'shared' });
  await expectUnharmed(host, [guest]);
  const { machine } = await agent.call('AdoptMachine', { pid: guest.pid });
  expect(machine).toMatchObject({
    way: 'whole_state',
    wayReason: expect.stringMatching(/F_SEAL_EXEC.*vm\.memfd_noexec/),
  });
  return guest;
}

/** An update of them all, adopted, under a setting of `vm.memfd_noexec`. */
export interface SealingUpdate {
  /** How the release of the next kernel ends. */
  readonly to: string;
  readonly noexec: 1 | 2;
}

/**
 * Goes through a live update. It must not seal the files that the agent makes for the next kernel, which begins with 0
 * again.
 *
 * @param guests all that run, perhaps with others than those of each way
 * @returns a client of the agent of the next kernel
 */
export async function updateAllWays(
  host: LabHost,
  agent: AgentClient,
  guests: readonly Guest[],
  { to, noexec }: SealingUpdate,
): Promise<AgentClient> {
  await run(host, `sysctl -w vm.memfd_noexec=${noexec}`);
  const before = (await agent.call('ListMachines', {})).machines;
  const plan = await planFor(agent, to);
  const { update, agent: next } = await carryOut(host, agent, plan);
  console.log(update.machines.map(blackoutLine).join('\n'));
  // Once at the beginning, and once more right before the machines were stopped.
  const { entries } = await next.call('QueryJournal', { name: 'kernel.load', update: update.id });
  const loads = entries.filter(({ kind, ok }) => kind === 'result' && ok);
  console.log(`loaded in ${loads.map(({ durationUs }) => `${durationUs} µs`).join(', ')}`);
  expect(loads).toHaveLength(2);
  expect(update).toMatchObject({
    outcome: 'updated',
    toRelease: expect.stringMatching(new RegExp(`${to}$`)),
  });
  for (const { name, way } of machinesOfAllWays) {
    const ran = update.machines.find((each) => each.name === name);
    if (!ran) throw new Error(`nothing is said of ${name}`);
    expect(ran).toMatchObject({ way, pid: before.find((each) => each.name === name)?.pid });
    expectWholeBlackout(ran);
    const now = await machineNamed(next, name);
    expect(now).toMatchObject({
      ...{ pid: ran.newPid, way, state: 'running', session: `machine:${name}`, unlinks: [] },
    });
    const [capabilities] = await askQemu(host, name, [{ execute: 'query-migrate-capabilities' }]);
    expect(capabilities).toContainEqual({ capability: 'x-ignore-shared', state: false });
    expect(capabilities).toContainEqual({ capability: 'events', state: false });
  }
  expect(update.blackoutUs).toBeGreaterThanOrEqual(
    Math.max(...update.machines.map((each) => each.blackoutUs ?? 0)),
  );
  const reports = await expectUnharmed(host, guests, 64);
  const gaps = reports.map(
    ({ lines, largestGapNs, largestGapAt }) =>
      `${lines} counts, gap ${largestGapNs} ns before ${largestGapAt}`,
  );
  console.log(gaps.join('\n'));
  return next;
}
