// SPDX-License-Identifier: Apache-2.0
/** What is answered while machines are stopped: what ends that or tells of it. Everything else is refused at once. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import { JournalReader } from '../src/journal/index.ts';
import { MadeUpHost } from './made-up-host.ts';
import { preserveText, runToKexec } from './scenario.ts';

let host: MadeUpHost;
let client: AgentClient;

beforeEach(async () => {
  host = new MadeUpHost();
  client = await host.start();
  await client.call('CreateSession', { name: 's' });
  await preserveText(client, 's', 'kept');
});
afterEach(() => {
  vi.restoreAllMocks();
  host.dispose();
});

it('status, progress and an abort are answered, and everything else once machines run again', async () => {
  const attending = client.stream('AttendSession', { name: 's' });
  await attending.next();
  const running = runToKexec(host, client, { wait: 'settled' });
  // The update asks the program to stop its machine, and waits.
  expect((await attending.next()).value).toMatchObject({ still: true });
  const { status } = await client.call('GetStatus', {});
  expect(status.phase).toBe('suspending');
  const read = vi.spyOn(JournalReader.prototype, 'query');
  const refusal = { error: 'io.luoconsole.Agent.WrongPhase', parameters: { phase: 'suspending' } };
  const others: readonly (() => Promise<unknown>)[] = [
    () => client.call('ListSessions', {}),
    () => client.call('QueryJournal', { text: 'x' }),
    () => client.call('ListMachines', {}),
    () => client.call('FetchConsole', { pid: 1 }),
    () => client.call('CreateSession', { name: 't' }),
    () => client.stream('ExportJournal', {}).next(),
    () => client.stream('FollowJournal', {}).next(),
  ];
  for (const call of others) await expect(call()).rejects.toMatchObject(refusal);
  const progress = client.stream('FollowUpdate', { update: status.progress?.update ?? '' });
  expect((await progress.next()).value).toMatchObject({ progress: { phase: 'suspending' } });
  await progress.return();
  expect(read).not.toHaveBeenCalled();
  // On the connection on which the others were refused.
  const { update } = await client.call('AbortUpdate', {});
  expect(update).toMatchObject({ id: await running, outcome: 'aborted' });
  expect((await client.call('ListSessions', {})).sessions).toHaveLength(1);
  await attending.return();
});
