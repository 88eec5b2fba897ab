// SPDX-License-Identifier: Apache-2.0
/** The carrier on trixie: systemd 257 knows nothing of live updates, and takes a running VMM into a service all the same. */
import type { AgentClient } from '@luo-console/agent/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import { expectUnharmed, type Guest, installGuests, startGuest } from '../support/guest.ts';
import { connect, freshHost } from '../support/host.ts';
import { run } from '../support/memory.ts';
import { blackoutLine, broughtBackBy, carryOut, expectWholeBlackout, planFor } from '../support/update.ts';

describe('a machine on trixie', () => {
  let host: LabHost;
  let agent: AgentClient;
  let guest: Guest;

  beforeAll(async () => {
    host = await freshHost('carrier-trixie', { reuse: true, suite: 'trixie' });
    await installGuests(host);
    agent = await connect(host);
    guest = await startGuest(host, { name: 'guest', kind: 'bare', memory: 'shared' });
    await agent.call('AdoptMachine', { pid: guest.pid });
  });
  afterAll(async () => {
    agent?.close();
    await host?.down();
  });
  afterEach((context) => showLogsOfFailed(context, host));

  it.each(['-b', '-a'])('is brought back by the carrier, and is a service of its own: %s', async (next) => {
    const done = await carryOut(host, agent, await planFor(agent, next));
    agent = done.agent;
    const { update } = done;
    console.log(update.machines.map(blackoutLine).join('\n'));
    expect(update).toMatchObject({ outcome: 'updated' });
    for (const machine of update.machines) expectWholeBlackout(machine);
    expect(await broughtBackBy(agent, update)).toEqual({ guest: 'carrier' });
    const main = await run(host, 'systemctl show luo-machine-guest.service --value -p MainPID');
    expect(Number(main)).toBe(update.machines[0]?.newPid);
    await expectUnharmed(host, [guest]);
  });
});
