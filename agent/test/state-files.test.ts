// SPDX-License-Identifier: Apache-2.0
/** The files of the machines' states (`src/adoption/state-file.ts`) through a whole update, on a made-up host. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import { indexSessionName, indexTokens, manifestToken, programToken } from '../src/liveupdate/tokens.ts';
import { MadeUpHost } from './made-up-host.ts';
import { type CarriedWay, type MadeUpVmm, MadeUpVmms } from './made-up-vmms.ts';
import { arriveInNextKernel, planOf, runToKexec } from './scenario.ts';

let host: MadeUpHost;
let vmms: MadeUpVmms;
let client: AgentClient;

beforeEach(async () => {
  host = new MadeUpHost();
  vmms = new MadeUpVmms(host);
  client = await host.start();
});

afterEach(async () => {
  vi.restoreAllMocks();
  await vmms.endAll();
  host.dispose();
});

async function adopted(name: string, way: CarriedWay = 'cpr'): Promise<MadeUpVmm> {
  const vmm = await vmms.start(name, way);
  await client.call('AdoptMachine', { pid: vmm.pid });
  return vmm;
}

interface Preserved {
  readonly token: bigint;
  /** Whether the guests ran then. */
  readonly running: readonly boolean[];
}

/** What is preserved from now on under the index's own tokens. No other session has any of these. */
function watchPreserving(guests: readonly MadeUpVmm[]): Preserved[] {
  const all: Preserved[] = [];
  const { preserveFd } = host.double;
  vi.spyOn(host.double, 'preserveFd').mockImplementation(async (session, file, token) => {
    if (token === programToken || (token >= indexTokens && token !== manifestToken))
      all.push({ token, running: guests.map(({ guest }) => guest.running) });
    await preserveFd.call(host.double, session, file, token);
  });
  return all;
}

/** Whether there is an outgoing session of the index's name. */
async function indexIsThere(): Promise<boolean> {
  using device = host.double.openDevice(host.paths.device);
  try {
    (await host.double.createSession(device, indexSessionName)).close();
    return false;
  } catch (error) {
    expect(error).toMatchObject({ code: 'EEXIST' });
    return true;
  }
}

async function arrive(): Promise<void> {
  await vmms.endAll();
  const { client: there, update } = await arriveInNextKernel(host);
  client = there;
  expect(update.outcome, update.reason).toBe('updated');
}

describe('the files of states', () => {
  it('are preserved before any machine is stopped', async () => {
    const guests = [await adopted('one'), await adopted('two', 'named_memory')];
    const preserved = watchPreserving(guests);
    await runToKexec(host, client);
    expect(guests.map(({ guest }) => guest.running)).toEqual([false, false]);
    expect(preserved.map(({ running }) => running)).toEqual([
      [true, true],
      [true, true],
    ]);
    await arrive();
    expect(guests.map(({ guest }) => guest.loaded)).toEqual(['device state', 'device state']);
  });

  it('with memory in them are preserved once they are recorded', async () => {
    const guest = await adopted('one', 'whole_state');
    const preserved = watchPreserving([guest]);
    await runToKexec(host, client);
    expect(preserved.map(({ running }) => running)).toEqual([[false]]);
    await arrive();
    expect(guest.guest.loaded).toBe('device state');
  });

  it('that are too small are replaced, and the machine comes back with all of its state', async () => {
    const guests = [await adopted('one'), await adopted('two')];
    const state = 'device state '.repeat(300_000);
    if (guests[0]) guests[0].guest.state = state;
    const preserved = watchPreserving(guests);
    await runToKexec(host, client);
    expect(preserved).toHaveLength(3);
    expect(preserved[2]?.running).not.toEqual([true, true]);
    await arrive();
    expect(guests.map(({ guest }) => guest.loaded === state)).toEqual([true, false]);
    expect(guests[1]?.guest.loaded).toBe('device state');
  });

  it('end with an update that is aborted, and the next update has its own', async () => {
    const one = await adopted('one');
    const stopped = Promise.withResolvers<void>();
    vmms.withDisk = true;
    host.syncPlace = async () => {
      if (one.guest.running) return;
      stopped.resolve();
      await new Promise<never>(() => {});
    };
    const running = runToKexec(host, client, { wait: 'settled' });
    await stopped.promise;
    expect(await indexIsThere()).toBe(true);
    const { update } = await client.call('AbortUpdate', { reason: 'changed my mind' });
    expect(update).toMatchObject({ id: await running, outcome: 'aborted' });
    expect(one.guest.running).toBe(true);
    expect(await indexIsThere()).toBe(false);
    host.syncPlace = async () => {};
    const preserved = watchPreserving([one]);
    await runToKexec(host, client);
    expect(preserved.map(({ running: each }) => each)).toEqual([[true]]);
    await arrive();
    expect(one.guest.loaded).toBe('device state');
  });

  it('end with a kexec that the kernel refuses', async () => {
    const one = await adopted('one');
    host.kexec = 'refused';
    const id = await runToKexec(host, client, { wait: 'settled' });
    expect((await client.call('GetUpdate', { id })).update.outcome).toBe('returned');
    expect(one.guest.running).toBe(true);
    expect(await indexIsThere()).toBe(false);
    expect((await planOf(host, client)).runnable).toBe(true);
  });
});
