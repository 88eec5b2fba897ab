// SPDX-License-Identifier: Apache-2.0
/** The host loses power in each phase of a live update: memory is gone, and the outcome says so, never more. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import type { Update } from '../src/interface/agent.generated.ts';
import { MadeUpHost } from './made-up-host.ts';
import { preserveText, runToKexec, startSettled } from './scenario.ts';
import type { Death } from './tapped-native.ts';

let host: MadeUpHost;

beforeEach(() => {
  host = new MadeUpHost();
});
afterEach(() => host.dispose());

/** A host with a session, whose agent is down. */
async function prepare(): Promise<void> {
  const client = await host.start();
  await client.call('CreateSession', { name: 's' });
  await preserveText(client, 's', 'volatile');
  host.kill();
}

/** Runs an update in an agent that dies as told. @returns the calls it made */
async function runUpdate(death: Death | null): Promise<readonly string[]> {
  await host.launch(death);
  const { process } = host;
  const client = await host.connect();
  const running = runToKexec(host, client);
  running.catch(() => {});
  await Promise.race([process?.died, running]);
  return process?.calls ?? [];
}

async function onlyUpdate(client: AgentClient): Promise<Update | undefined> {
  const { updates } = await client.call('ListUpdates', {});
  expect(updates).toHaveLength(1);
  return updates[0];
}

/** What must hold after each of them. */
async function expectLost(client: AgentClient, outcome: Update['outcome'], when: string): Promise<void> {
  const update = await onlyUpdate(client);
  expect(update).toMatchObject({ outcome, reason: expect.stringContaining(when) });
  expect(update?.carried.filter(({ verdict }) => verdict !== 'missing')).toEqual([]);
  expect((await client.call('ListSessions', {})).sessions).toEqual([]);
  expect((await client.call('GetStatus', {})).status.phase).toBe('normal');
  const { entries } = await client.call('QueryJournal', { name: 'sessions.lost' });
  expect(entries).toMatchObject([{ parameters: { sessions: ['s'] } }]);
  expect(await client.call('VerifyJournal', {})).toMatchObject({ intact: true });
}

it.each([
  { phase: 'preserving', call: 'kexecFileLoad', when: 'before the kexec was announced' },
  { phase: 'prepared', call: 'createSession', when: 'before the kexec was announced' },
  { phase: 'prepared, in the grace', call: 'sync', when: 'between the announcement and the end' },
  { phase: 'kexec', call: 'rebootKexec', when: 'between the announcement and the end' },
])('a power cut in phase $phase is a cold boot', async ({ call, when }) => {
  await prepare();
  const at = (await runUpdate(null)).indexOf(call);
  expect(at).toBeGreaterThan(-1);
  host.dispose();
  host = new MadeUpHost();
  await prepare();
  await runUpdate({ at, when: 'before' });
  host.powerCut();
  await expectLost(await startSettled(host), 'cold_boot', when);
});

it.each([
  // Nothing is written down before the index is found.
  {
    phase: 'retrieving',
    call: 'retrieveFd',
    outcome: 'cold_boot',
    when: 'between the announcement and the end',
  },
  { phase: 'finishing', call: 'finish', outcome: 'unknown', when: 'had arrived in the next kernel' },
] as const)(
  'a power cut in the next kernel, in phase $phase, is told as $outcome',
  async ({ call, outcome, when }) => {
    const arrive = async (death: Death | null): Promise<readonly string[]> => {
      await prepare();
      await runUpdate(null);
      host.becomeNextKernel();
      await host.launch(death);
      await Promise.race([host.process?.died, host.agent?.settled]);
      return host.process?.calls ?? [];
    };
    const at = (await arrive(null)).indexOf(call);
    expect(at).toBeGreaterThan(-1);
    host.dispose();
    host = new MadeUpHost();
    await arrive({ at, when: 'before' });
    host.powerCut();
    await expectLost(await startSettled(host), outcome, when);
  },
);
