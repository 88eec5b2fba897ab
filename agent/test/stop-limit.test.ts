// SPDX-License-Identifier: Apache-2.0
/** The stop limit of a plan: whatever hangs between the first stop and the reboot call, machines run again. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import { MadeUpHost } from './made-up-host.ts';
import { type MadeUpVmm, MadeUpVmms } from './made-up-vmms.ts';
import { planOf, runToKexec, startSettled } from './scenario.ts';

let host: MadeUpHost;
let vmms: MadeUpVmms;
let client: AgentClient;
let vmm: MadeUpVmm;

beforeEach(async () => {
  host = new MadeUpHost();
  vmms = new MadeUpVmms(host);
  client = await host.start();
  vmm = await vmms.start('one', 'named_memory');
  await client.call('AdoptMachine', { pid: vmm.pid });
});

afterEach(async () => {
  await vmms.endAll();
  host.dispose();
});

const reached = "machines were stopped for 1 second, which is the plan's stop limit";

/** Runs an update that may stop machines for a second. @returns how it ended */
async function runBriefly() {
  const plan = await planOf(host, client, { stopLimitSeconds: 1 });
  const id = await runToKexec(host, client, { plan, wait: 'settled' });
  return (await client.call('GetUpdate', { id })).update;
}

it('is in the plan, with that of each machine, and follows from the last update once there was one', async () => {
  const first = await planOf(host, client);
  expect(first).toMatchObject({ stopLimitUs: 40_000_000, machines: [{ saveLimitUs: 30_000_000 }] });
  await runToKexec(host, client, { plan: first });
  host.becomeNextKernel();
  await vmms.endAll();
  const next = await startSettled(host);
  const [update] = (await next.call('ListUpdates', {})).updates;
  expect(update?.machines).toMatchObject([{ stage: 'resumed', stateBytes: expect.any(Number) }]);
  const second = await planOf(host, next);
  expect(second).toMatchObject({ stopLimitUs: 20_000_000, machines: [{ saveLimitUs: 10_000_000 }] });
  const wished = await planOf(host, next, { stopLimitSeconds: 4 });
  expect(wished).toMatchObject({ stopLimitUs: 4_000_000, machines: [{ saveLimitUs: 4_000_000 }] });
  await expect(planOf(host, next, { stopLimitSeconds: 0 })).rejects.toMatchObject({
    parameters: { parameter: 'stopLimitSeconds', value: '0', expected: '1 to 7200' },
  });
});

it('is null where nothing is stopped', async () => {
  const plan = await planOf(host, client, { leave: [vmm.pid] });
  expect(plan).toMatchObject({ stopLimitUs: null, machines: [{ saveLimitUs: null }] });
});

it('ends the wait for a program that does not stop its machine', async () => {
  await client.call('CreateSession', { name: 'theirs' });
  const attending = client.stream('AttendSession', { name: 'theirs' });
  await attending.next();
  expect(await runBriefly()).toMatchObject({ outcome: 'aborted', reason: reached });
  expect(vmm.guest.commands).toContain('stop');
  expect(vmm.guest.running).toBe(true);
  await attending.return();
});

it('ends the wait for a file system that does not answer', async () => {
  const never = Promise.withResolvers<void>();
  host.syncPlace = async () => {
    if (!vmm.guest.running) await never.promise;
  };
  expect(await runBriefly()).toMatchObject({ outcome: 'aborted', reason: reached });
  expect(vmm.guest.running).toBe(true);
  never.resolve();
});

it('does not end a reboot call that is made, and that ends by itself', async () => {
  const rebooting = Promise.withResolvers<void>();
  host.kexec = 'refused';
  host.reboot = () => rebooting.promise;
  // The only thing that shows that the limit has passed is the time.
  setTimeout(rebooting.resolve, 1500);
  expect(await runBriefly()).toMatchObject({ outcome: 'returned' });
  expect(vmm.guest.running).toBe(true);
});
