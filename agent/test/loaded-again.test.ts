// SPDX-License-Identifier: Apache-2.0
/** Somebody loads another kernel while an update is under way: the agent's own is loaded when machines are stopped. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import { MadeUpHost } from './made-up-host.ts';
import { type MadeUpVmm, MadeUpVmms } from './made-up-vmms.ts';
import { entriesOf, planOf, runToKexec, startSettled } from './scenario.ts';

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

/** Has somebody load another kernel after the grace, when everything is synced. */
function loadAnother(): string[] {
  const seen: string[] = [];
  host.load = async () => {
    seen.push(
      `loaded, ${vmm.guest.commands.includes('stop') ? 'the machine is stopped' : 'the machine runs'}`,
    );
  };
  host.sync = async () => {
    if (host.loaded?.commandLine !== 'somebody else') seen.push('another is loaded');
    host.loaded = { commandLine: 'somebody else' };
  };
  return seen;
}

it('the kernel of the plan is loaded again after the last sync, before a machine is stopped', async () => {
  const plan = await planOf(host, client);
  const seen = loadAnother();
  const update = await runToKexec(host, client, { plan });
  expect(seen).toEqual(['loaded, the machine runs', 'another is loaded', 'loaded, the machine runs']);
  expect(vmm.guest.commands).toContain('stop');
  expect(host.loaded).toEqual({ commandLine: plan.commandLine });
  host.becomeNextKernel();
  await vmms.endAll();
  client = await startSettled(host);
  const loads = await entriesOf(client, 'kernel.load', update);
  expect(loads.map(({ kind, ok }) => [kind, ok])).toEqual([
    ['act', null],
    ['result', true],
    ['act', null],
    ['result', true],
  ]);
});

it('a kernel that cannot be loaded again ends the update, and no machine was stopped', async () => {
  loadAnother();
  let loads = 0;
  host.load = async () => {
    loads += 1;
    if (loads === 2)
      throw Object.assign(new Error('no'), { code: 'ENOMEM', errno: 12, syscall: 'kexec_file_load' });
  };
  const id = await runToKexec(host, client, { wait: 'settled' });
  const { update } = await client.call('GetUpdate', { id });
  expect(update).toMatchObject({ outcome: 'aborted', reason: expect.stringContaining('ENOMEM') });
  expect(vmm.guest.commands).not.toContain('stop');
  expect(vmm.guest.running).toBe(true);
  expect(host.loaded).toBeNull();
});
