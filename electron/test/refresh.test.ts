// SPDX-License-Identifier: Apache-2.0
/** When a host's data is read again, and when it must be left alone. */
import type { Status } from '@luo-console/agent/interface';
import { serviceError } from '@luo-console/agent/varlink';
import { expect, test } from 'vitest';
import type { AgentLink } from '../src/connections/link.ts';
import { createRefresher } from '../src/connections/refresh.ts';
import { settle } from './fake-clock.ts';
import { sampleStatus } from './samples.ts';

function setUp(answer: (method: string) => Promise<Record<string, unknown>> = async () => ({})) {
  const asked: string[] = [];
  const kept: string[] = [];
  const said: string[] = [];
  const link = {
    call: (method: string) => {
      asked.push(method);
      return answer(method);
    },
  } as unknown as AgentLink;
  const refresher = createRefresher({
    link,
    keep: (method) => kept.push(method),
    log: (message) => said.push(message),
  });
  const note = async (change: Partial<Status>) => {
    refresher.note(sampleStatus(change));
    await settle();
  };
  return { asked, kept, said, note };
}

const always = ['ListSessions', 'ListUpdates', 'ListKernels', 'ListHeldMachines'];
const everything = [...always, 'ListMachines', 'ListDefinitions'];
const sessions = [{ name: 'vm', direction: 'outgoing' as const, descriptors: 1, size: 1 }];

test('everything is read once, and again when there is something new', async () => {
  const { kept, note } = setUp();
  await note({});
  await note({ nowUs: 5 });
  expect(kept).toEqual(everything);
  await note({ sessions });
  expect(kept).toEqual([...everything, ...everything]);
});

test('nothing is asked while the host is busy with its machines', async () => {
  const { asked, note } = setUp();
  for (const phase of [
    'preserving',
    'suspending',
    'kexec',
    'booting',
    'retrieving',
    'resuming',
    'finishing',
  ] as const) {
    await note({ phase });
  }
  expect(asked).toEqual([]);
  await note({ phase: 'prepared' });
  expect(asked).toEqual(always);
  await note({});
  expect(asked).toEqual([...always, ...everything]);
});

test('the machines’ monitors are left alone once a live update has begun, also by what was being read', async () => {
  const slow = Promise.withResolvers<Record<string, unknown>>();
  const { asked, note } = setUp(() => slow.promise);
  await note({});
  await note({ phase: 'prepared' });
  slow.resolve({});
  await settle();
  expect(asked).toEqual([...always, ...always]);
});

test('changes while it reads are read after that, once', async () => {
  const slow = Promise.withResolvers<Record<string, unknown>>();
  const { asked, note } = setUp(() => slow.promise);
  await note({});
  await note({ sessions });
  await note({ sessions, lastUpdate: 'u1' });
  expect(asked).toEqual(['ListSessions']);
  slow.resolve({});
  await settle();
  expect(asked).toEqual([...everything, ...everything]);
});

test('a question that is not answered is said and does not stop the others', async () => {
  const { kept, said, note } = setUp(async (method) => {
    if (method === 'ListUpdates') throw new Error('no');
    return {};
  });
  await note({});
  expect(kept).toEqual(everything.filter((method) => method !== 'ListUpdates'));
  expect(said).toEqual(['ListUpdates was not answered: no']);
});

test('what an older agent does not know is empty, and is not complained about', async () => {
  const { kept, said, note } = setUp(async (method) => {
    if (method === 'ListHeldMachines') throw serviceError.methodNotFound(method);
    return {};
  });
  await note({});
  expect(kept).toEqual(everything);
  expect(said).toEqual([]);
});
