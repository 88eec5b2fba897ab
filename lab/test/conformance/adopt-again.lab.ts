// SPDX-License-Identifier: Apache-2.0
/**
 * Machines of each way go through two live updates, one right after the other. `vm.memfd_noexec` is another one for
 * each. `npm test` has the first of them, with everything that comes before and after (`lab/adopt.lab.ts`).
 */
import type { AgentClient } from '@luo-console/agent/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { LabHost } from '../../src/index.ts';
import { showLogsOfFailed } from '../support/failure.ts';
import {
  adoptSealed,
  machinesOfAllWays,
  type SealingUpdate,
  startAllWays,
  updateAllWays,
} from '../support/four-ways.ts';
import { type Guest, installGuests } from '../support/guest.ts';
import { connect, freshHost } from '../support/host.ts';

const updates: readonly SealingUpdate[] = [
  { to: '-b', noexec: 1 },
  { to: '-a', noexec: 2 },
];

describe('machines of each way', () => {
  let host: LabHost;
  let agent: AgentClient;
  const guests: Guest[] = [];

  beforeAll(async () => {
    host = await freshHost('adopt-again', { reuse: true });
    await installGuests(host);
    agent = await connect(host);
    const found = await startAllWays(host);
    for (const { name, way, unlinks } of machinesOfAllWays) {
      const guest = found.get(name);
      if (!guest) throw new Error(`there is no guest ${name}`);
      guests.push(guest);
      const { machine } = await agent.call('AdoptMachine', { pid: guest.pid, unlink: unlinks.length > 0 });
      expect(machine).toMatchObject({ name, way });
    }
    guests.push(await adoptSealed(host, agent, 'sealed-own'));
  });
  afterAll(async () => {
    agent?.close();
    await host?.down();
  });
  afterEach((context) => showLogsOfFailed(context, host));

  it.each(updates)(
    'go through a live update to $to under vm.memfd_noexec=$noexec and count on',
    async (to) => {
      agent = await updateAllWays(host, agent, guests, to);
    },
  );
});
