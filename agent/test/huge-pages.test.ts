// SPDX-License-Identifier: Apache-2.0
/** Huge pages as a person sees them: in the journal, in the plan, and after an update, with files of the real kernel. */
import { truncateSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import type { AgentMethods, Check } from '../src/interface/agent.generated.ts';
import { MadeUpHost } from './made-up-host.ts';
import { MadeUpVmms } from './made-up-vmms.ts';
import { arriveInNextKernel, planOf, runToKexec } from './scenario.ts';

const bytes = 96 << 20;

let host: MadeUpHost;
let vmms: MadeUpVmms;

beforeEach(() => {
  host = new MadeUpHost();
  vmms = new MadeUpVmms(host);
});
afterEach(async () => {
  await vmms.endAll();
  host.dispose();
});

const check = async (client: AgentClient, wanted: string): Promise<Check | undefined> =>
  (await planOf(host, client)).checks.find(({ name }) => name === wanted);
const pages = (client: AgentClient): Promise<Check | undefined> => check(client, 'pages');

it('a machine’s memory is in huge pages once it is adopted; the plan asks the kernel of each boot', async () => {
  const client = await host.start();
  const { pid } = await vmms.start('one', 'named_memory');
  truncateSync(`/proc/${pid}/fd/3`, bytes);
  await client.call('AdoptMachine', { pid });
  const [adopted] = (await client.call('QueryJournal', { name: 'machine.adopt', limit: 1 })).entries;
  expect(adopted?.parameters).toMatchObject({
    hugePages: { bytes, hugeBytes: bytes, problem: null },
  });
  expect(host.log.join('\n')).toContain('memory was put into huge pages');
  expect(await pages(client)).toMatchObject({
    verdict: 'pass',
    detail: 'the memory of the machines is in huge pages (96 MiB), which saves about 0.1 s',
  });

  await runToKexec(host, client);
  const next = await arriveInNextKernel(host);
  expect(next.update).toMatchObject({ outcome: 'updated' });
  // The double hands memory over as a copy in small pages, which are there to stay: they are preserved.
  expect(await pages(next.client)).toMatchObject({
    verdict: 'warn',
    detail: expect.stringContaining('96 MiB of one are in small pages: about 0.1 s more'),
  });
});

it('who adopts a machine hears how far its memory is, and last that it is adopted', async () => {
  const client = await host.start();
  const { pid } = await vmms.start('one', 'named_memory');
  truncateSync(`/proc/${pid}/fd/3`, bytes);
  const replies: AgentMethods['AdoptMachine']['reply'][] = [];
  for await (const reply of client.stream('AdoptMachine', { pid })) replies.push(reply);
  const last = replies.pop();
  expect(last).toMatchObject({ machine: { session: 'machine:one' }, done: null, total: null });
  const far = replies.map(({ done }) => done ?? 0);
  expect(far.at(-1)).toBe(bytes);
  expect(far).toEqual([...new Set(far)].sort((one, other) => one - other));
  for (const reply of replies) expect(reply).toMatchObject({ machine: { session: null }, total: bytes });
});

it('a plan counts what preserving will allocate, by what the files say, and a machine is not adopted without it', async () => {
  const client = await host.start();
  const { pid } = await vmms.start('one', 'named_memory');
  const memory = `/proc/${pid}/fd/3`;
  // Somebody has preserved it before.
  await client.call('CreateSession', { name: 'theirs' });
  await client.call('PreserveFromProcess', { session: 'theirs', pid, fd: 3 });
  await client.call('AdoptMachine', { pid });
  const usual = await check(client, 'memory');
  expect(usual).toMatchObject({
    verdict: 'pass',
    detail: expect.stringMatching(/^3907 MiB are free; loading the kernel needs/),
  });
  await client.call('RemoveDescriptor', { session: 'theirs', token: '0x0' });
  // Hardly any of it is there.
  truncateSync(memory, 8 * 2 ** 30);
  expect(await check(client, 'memory')).toMatchObject({
    verdict: 'fail',
    detail: expect.stringMatching(
      /^3907 MiB are free; loading the kernel and preserving memory that nobody has written yet needs 82\d\d MiB$/,
    ),
  });
  await client.call('ReleaseMachine', { pid });
  await expect(client.call('AdoptMachine', { pid })).rejects.toMatchObject({
    error: 'io.luoconsole.Agent.MachineUnusable',
    parameters: {
      reason: expect.stringMatching(
        /^preserving its memory fills 819\d MiB that nobody has written yet; 3907 MiB/,
      ),
    },
  });
  truncateSync(memory, 0);
  truncateSync(memory, bytes);
  await client.call('AdoptMachine', { pid });
  expect(await check(client, 'memory')).toEqual(usual);
});
