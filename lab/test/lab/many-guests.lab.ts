// SPDX-License-Identifier: Apache-2.0
/**
 * Four guests go through one live update together. Two of them have memory in common, which one writes and the other
 * reads. It must be one file before the update and one file after it. Otherwise the reader would see a count that no
 * longer changes.
 */
import type { AgentClient } from '@luo-console/agent/client';
import type { Machine } from '@luo-console/agent/interface';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import {
  expectUnharmed,
  type Guest,
  type GuestOptions,
  installGuests,
  linesOf,
  startGuest,
} from '../support/guest.ts';
import { connect, freshHost } from '../support/host.ts';
import { blackoutLine, broughtBackBy, carryOut, expectWholeBlackout, planFor } from '../support/update.ts';

const guestsDirectory: readonly GuestOptions[] = [
  { name: 'writer', kind: 'bare', memory: 'shared', common: { name: 'common', role: 'write' } },
  { name: 'reader', kind: 'bare', memory: 'shared', common: { name: 'common', role: 'read' } },
  { name: 'third', kind: 'bare', memory: 'shared' },
  // The largest: without its priority it would be the last.
  { name: 'fourth', kind: 'bare', memory: 'shared', mib: 64 },
];

describe('four guests at once', () => {
  let host: LabHost;
  let agent: AgentClient;
  const guests: Guest[] = [];

  beforeAll(async () => {
    host = await freshHost('many-guests', { reuse: true });
    await installGuests(host);
    agent = await connect(host);
    for (const options of guestsDirectory) guests.push(await startGuest(host, options));
  });
  afterAll(async () => {
    agent?.close();
    await host?.down();
  });
  afterEach((context) => showLogsOfFailed(context, host));

  const named = (name: string): Guest => {
    const found = guests.find((guest) => guest.name === name);
    if (!found) throw new Error(`there is no guest ${name}`);
    return found;
  };
  const machines = async (): Promise<Map<string, Machine>> =>
    new Map((await agent.call('ListMachines', {})).machines.map((machine) => [machine.name, machine]));
  /** Numbers of the file that writer and reader have in common, as each of their VMMs has it. */
  const commonInodes = async (): Promise<(number | null | undefined)[]> => {
    const found = await machines();
    return ['writer', 'reader'].map(
      (name) => found.get(name)?.descriptors.find(({ sharedWith }) => sharedWith.length > 0)?.inode,
    );
  };

  it('are adopted, and what two of them share is preserved once', async () => {
    await expectUnharmed(host, guests);
    for (const { pid } of guests) await agent.call('AdoptMachine', { pid, unlink: true });
    await agent.call('AdoptMachine', { pid: named('fourth').pid, priority: 10 });
    const found = await machines();
    expect(found.get('fourth')?.priority).toBe(10);
    expect(found.get('third')?.priority).toBe(0);
    expect(found.get('reader')?.sharesMemoryWith).toEqual([named('writer').pid]);
    expect(found.get('writer')?.sharesMemoryWith).toEqual([named('reader').pid]);
    const [ofWriter, ofReader] = await commonInodes();
    expect(ofReader).toBe(ofWriter);
    const { sessions } = await agent.call('ListSessions', {});
    const preserved = sessions.flatMap(({ descriptors }) => descriptors.map(({ inode }) => inode));
    expect(preserved.filter((inode) => inode === ofWriter).length).toBe(1);
    expect(new Set(preserved).size).toBe(preserved.length);
  });

  it('go through a live update together', async () => {
    const plan = await planFor(agent, '-b');
    expect(plan.machines.map(({ name }) => name).sort()).toEqual(
      guestsDirectory.map(({ name }) => name).sort(),
    );
    expect(plan.graph.cycle).toEqual([]);
    // Memory comes before the machines that need it.
    const place = new Map(plan.graph.order.map((id, index) => [id, index]));
    for (const { from, to } of plan.graph.edges) {
      expect(place.get(to) ?? NaN, `${to} before ${from}`).toBeLessThan(place.get(from) ?? NaN);
    }
    const written = (await linesOf(host, named('writer'))).at(-1)?.count ?? NaN;
    const done = await carryOut(host, agent, plan);
    agent = done.agent;
    const { update } = done;
    console.log(update.machines.map(blackoutLine).join('\n'));
    expect(update).toMatchObject({ outcome: 'updated' });
    expect(update.machines.length).toBe(guestsDirectory.length);
    for (const machine of update.machines) expectWholeBlackout(machine);
    const byCarrier = guestsDirectory.map(({ name }) => [name, 'carrier']);
    expect(await broughtBackBy(agent, update)).toEqual(Object.fromEntries(byCarrier));
    // Two are started at once. Which of them gets the lower number is open.
    const started = update.machines.toSorted((one, other) => (one.newPid ?? 0) - (other.newPid ?? 0));
    expect(started.slice(0, 2).map(({ name }) => name)).toContain('fourth');
    const blackouts = update.machines.map(({ blackoutUs }) => blackoutUs ?? NaN);
    expect(update.blackouts).toMatchObject({
      ...{ firstUs: Math.min(...blackouts), worstUs: Math.max(...blackouts) },
    });

    await expectUnharmed(host, guests, 64);
    const seen = (await linesOf(host, named('reader'))).map(({ shared }) => shared ?? NaN);
    expect(seen.at(-1)).toBeGreaterThan(written + 32);
    const [ofWriter, ofReader] = await commonInodes();
    expect(ofReader).toBe(ofWriter);
    for (const { name } of guestsDirectory) {
      expect((await machines()).get(name)).toMatchObject({ state: 'running', session: `machine:${name}` });
    }
  });
});
