// SPDX-License-Identifier: Apache-2.0
/**
 * Rehearsals of running machines on a real host. The next VMM of each is started beside it, may load its state, and is
 * ended. Nothing of that reaches the guest: not its memory, of which a digest is taken while it is paused, and not its
 * disk. One that fails is told in QEMU's words, and no plan can be run then.
 */
import type { AgentClient } from '@luo-console/agent/client';
import type { Rehearsal } from '@luo-console/agent/interface';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import {
  expectUnharmed,
  type Guest,
  type GuestOptions,
  guestsDirectory,
  installGuests,
  startGuest,
  waitForCounts,
} from '../support/guest.ts';
import { connect, freshHost } from '../support/host.ts';
import { run } from '../support/memory.ts';

const disk = '/srv/guests/spare.img';

describe('a machine that is rehearsed', () => {
  let host: LabHost;
  let agent: AgentClient;
  const guests = new Map<string, Guest>();

  beforeAll(async () => {
    host = await freshHost('rehearsal', { reuse: 'they make plans that cannot be run' });
    await installGuests(host);
    await run(host, `head -c 4M /dev/urandom > ${disk}`);
    agent = await connect(host);
    const of: GuestOptions[] = [
      { name: 'linux', kind: 'linux', memory: 'named', spareDisk: disk },
      { name: 'bare', kind: 'bare', memory: 'shared' },
      { name: 'whole', kind: 'bare', memory: 'private' },
    ];
    for (const options of of) {
      const guest = await startGuest(host, options);
      guests.set(options.name, guest);
      await agent.call('AdoptMachine', { pid: guest.pid, unlink: true });
    }
    await waitForCounts(host, [...guests.values()], 2);
  });
  afterEach((context) => showLogsOfFailed(context, host));
  afterAll(async () => {
    agent?.close();
    await host?.down();
  });

  const guestOf = (name: string): Guest => {
    const guest = guests.get(name);
    if (!guest) throw new Error(`there is no guest ${name}`);
    return guest;
  };

  async function rehearse(name: string): Promise<Rehearsal> {
    const { machine } = await agent.call('RehearseMachine', { pid: guestOf(name).pid });
    if (machine.rehearsal === null) throw new Error(`${name} has no result`);
    console.log(name, JSON.stringify(machine.rehearsal));
    return machine.rehearsal;
  }

  it.each([
    ['linux', []],
    ['bare', ['loading its state: its memory is handed over']],
    ['whole', ['loading its state: its memory is part of its state']],
  ])('would come back, and runs on: %s', async (name, left) => {
    const rehearsal = await rehearse(name);
    expect(rehearsal).toMatchObject({ problem: null, startUs: expect.any(Number) });
    expect(rehearsal.left).toEqual(left.map((why) => expect.stringContaining(why)));
    expect(rehearsal.loadUs === null).toBe(left.length > 0);
    await expectUnharmed(host, [guestOf(name)]);
  });
});
