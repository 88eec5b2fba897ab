// SPDX-License-Identifier: Apache-2.0
/** Unhappy paths of a session's lifecycle (`src/liveupdate/held-session.ts`), through the real server. */
import { type Descriptor, native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import { MadeUpHost } from './made-up-host.ts';
import { arriveInNextKernel, contentOf, preserveText, runToKexec, startSettled } from './scenario.ts';

let host: MadeUpHost;
let client: AgentClient;

beforeEach(async () => {
  host = new MadeUpHost();
  client = await host.start();
});

afterEach(() => {
  vi.restoreAllMocks();
  host.dispose();
});

const kernelPath = (): string => `${host.paths.boot}/vmlinuz-7.3.4-b`;
const manifestOf = (session: string): string => `f-${Buffer.from(session).toString('hex')}-ffffffffffff0000`;

/** Overwrites a session's manifest, both slots of it, as any holder of the session could. */
function tearManifest(session: string): void {
  const file = host.manager.kept.get(manifestOf(session));
  if (!file) throw new Error(`the service manager has no manifest of ${session}`);
  const { size } = native.memory.fileFacts(file);
  native.memory.write(file, 0n, Buffer.alloc(Number(size), 'x'));
}

async function failedChecks(): Promise<string[]> {
  const { plan } = await client.call('MakePlan', { kernel: kernelPath() });
  return plan.checks.filter(({ verdict }) => verdict === 'fail').map(({ name }) => name);
}

describe('a session', () => {
  it('has its manifest in the kernel, also if the agent died before it had put it there', async () => {
    await client.call('CreateSession', { name: 's' });
    const at = host.process?.calls.indexOf('preserveFd') ?? -1;
    host.dispose();
    host = new MadeUpHost();
    await host.launch({ at, when: 'before' });
    client = await host.connect();
    client.call('CreateSession', { name: 's' }).catch(() => {});
    await host.process?.died;
    expect(host.manager.kept.has(manifestOf('s'))).toBe(true);
    host.kill();
    client = await host.start();
    await preserveText(client, 's', 'kept');
    await runToKexec(host, client);
    const arrived = await arriveInNextKernel(host);
    client = arrived.client;
    expect(arrived.update.outcome, arrived.update.reason).toBe('updated');
    expect(await contentOf(client, 's', '0x0')).toBe('kept');
  });
});
