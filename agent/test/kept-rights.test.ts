// SPDX-License-Identifier: Apache-2.0
/** Machines whose VMMs would have more rights when they are started again: they are not carried over. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import type { Check, Plan } from '../src/interface/agent.generated.ts';
import { MadeUpHost } from './made-up-host.ts';
import { type MadeUpVmm, MadeUpVmms } from './made-up-vmms.ts';
import { planOf, runToKexec } from './scenario.ts';

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

const privileges = ({ checks }: Plan): Check | undefined => checks.find(({ name }) => name === 'privileges');

/** Has somebody else filter its system calls: a program that is started again would have no such filter. */
const filter = (): void =>
  vmms.changeStatus(vmm, (status) => `${status.replace(/^Seccomp_filters:.*\n/m, '')}Seccomp_filters:\t9\n`);

const problem = 'a filter of system calls was set for it that it does not set itself';

it('a plan with one cannot run, and says why', async () => {
  expect(privileges(await planOf(host, client))).toMatchObject({ verdict: 'pass' });
  filter();
  const plan = await planOf(host, client);
  expect(plan.runnable).toBe(false);
  expect(privileges(plan)).toMatchObject({
    verdict: 'fail',
    detail: `one cannot be started again with the rights that it has: ${problem}. Start it again in a way that can be kept, or leave it behind`,
  });
  expect((await planOf(host, client, { leave: [vmm.pid] })).runnable).toBe(true);
});

it.each<[string, string, () => void]>([
  ['is confined after the plan was made', `its rights cannot be kept: ${problem}`, filter],
  [
    'cannot be looked at any more',
    'a number',
    () => vmms.changeStatus(vmm, (status) => status.replace(/^Groups:.*$/m, 'Groups:\tall')),
  ],
])('one that %s is not stopped', async (_what, why, change) => {
  const plan = await planOf(host, client);
  change();
  const id = await runToKexec(host, client, { plan, wait: 'settled' });
  const { updates } = await client.call('ListUpdates', {});
  const update = updates.find((each) => each.id === id);
  expect(update).toMatchObject({ outcome: 'aborted', reason: expect.stringContaining(why) });
  expect(vmm.guest.running).toBe(true);
  expect(vmm.guest.commands).not.toContain('stop');
});
