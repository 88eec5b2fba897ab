// SPDX-License-Identifier: Apache-2.0
/** Huge pages as a person sees them: in the journal, in the plan, and after an update, with files of the real kernel. */
import { truncateSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import type { Check } from '../src/interface/agent.generated.ts';
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

async function pages(client: AgentClient): Promise<Check | undefined> {
  return (await planOf(host, client)).checks.find(({ name }) => name === 'pages');
}

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
