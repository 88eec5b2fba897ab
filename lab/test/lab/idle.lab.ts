// SPDX-License-Identifier: Apache-2.0
/** The agent with nothing to do: its memory belongs to the guests, and only the service manager's watchdog wakes it. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { watchIdle } from '../../bench/idle/measure.ts';
import type { LabHost } from '../../src/index.ts';
import { connect, freshHost } from '../support/host.ts';
import { holdMemory, run } from '../support/memory.ts';

let host: LabHost;

beforeAll(async () => {
  host = await freshHost('idle', { reuse: 'the unit of the agent is changed' });
  // A sign of life every two seconds in place of fifteen. What is known of kernels is found out anew.
  const directory = '/etc/systemd/system/luo-console-agent.service.d';
  await run(host, `mkdir -p ${directory} && printf '[Service]\\nWatchdogSec=8s\\n' > ${directory}/idle.conf`);
  await run(host, 'rm -f /var/lib/luo-console/kernel-images.json');
  await run(host, 'systemctl daemon-reload && systemctl restart luo-console-agent');
});
afterAll(() => host?.down());

it('has at most 70 MiB, and wakes up only to say that it lives', async () => {
  const memory = await holdMemory(host, [16]);
  const agent = await connect(host);
  await agent.call('CreateSession', { name: 'held' });
  for (const { fd } of memory.memfds)
    await agent.call('PreserveFromProcess', { session: 'held', pid: memory.pid, fd, label: null });
  await agent.close();

  const { resident, wakeUps, signs } = await watchIdle(host, 12);
  expect(wakeUps).toBe(signs);
  expect(resident.allKiB).toBeLessThanOrEqual(70 * 1024);
});
