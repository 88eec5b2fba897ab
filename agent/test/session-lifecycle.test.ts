// SPDX-License-Identifier: Apache-2.0
/** Unhappy paths of a session's lifecycle (`src/liveupdate/held-session.ts`), through the real server. */
import { native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import { type Disk, fillable } from '../src/journal/full-disk.fixture.ts';
import { MadeUpHost } from './made-up-host.ts';
import {
  arriveInNextKernel,
  contentOf,
  memfdWith,
  preserve,
  preserveText,
  runToKexec,
  startSettled,
} from './scenario.ts';

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
/** The name of a session's first manifest in the store, which ends in the session's number. */
const manifestOf = (session: string): string => {
  const begins = `f-${Buffer.from(session).toString('hex')}-ffffffffffff0000-`;
  return [...host.manager.kept.keys()].find((name) => name.startsWith(begins)) ?? 'none';
};

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

describe('on a full disk', () => {
  let disk: Disk;
  const notRecorded = (method: string) => ({
    error: 'io.luoconsole.Agent.DoneNotRecorded',
    parameters: { method, reason: 'database or disk is full' },
  });
  const namesOf = async (): Promise<string[]> =>
    (await client.call('ListSessions', {})).sessions.map(({ name }) => name);
  beforeEach(async () => {
    host.kill();
    disk = { full: false };
    fillable(disk);
    client = await host.start();
  });

  it('a session is not created if that cannot be announced, and is there if only its result could not be written', async () => {
    const { createSession } = host.double;
    vi.spyOn(host.double, 'createSession').mockImplementationOnce((...given) => {
      disk.full = true;
      return createSession.apply(host.double, given);
    });
    await expect(client.call('CreateSession', { name: 'one' })).rejects.toMatchObject(
      notRecorded('CreateSession'),
    );
    await expect(client.call('CreateSession', { name: 'two' })).rejects.toMatchObject({
      parameters: { call: 'journal', errno: 'ENOSPC' },
    });
    expect(await namesOf()).toEqual(['one']);
    // Looking is no act.
    expect((await client.call('GetSession', { name: 'one' })).session.name).toBe('one');
    disk.full = false;
    await client.call('CreateSession', { name: 'two' });
    const { entries } = await client.call('QueryJournal', { name: 'session.create', ascending: true });
    expect(entries.map(({ kind, session, ok }) => [kind, session, ok])).toEqual([
      ['act', 'one', null],
      ['result', 'one', true],
      ['act', 'two', null],
      ['result', 'two', true],
    ]);
  });

  it('a session is closed, which gives memory back', async () => {
    await client.call('CreateSession', { name: 'one' });
    disk.full = true;
    await expect(client.call('CloseSession', { name: 'one' })).rejects.toMatchObject(
      notRecorded('CloseSession'),
    );
    expect(await namesOf()).toEqual([]);
    expect([...host.manager.kept.keys()]).toEqual([]);
  });

  it('sessions are taken in by the next agent, and a close that was interrupted is completed', async () => {
    for (const name of ['kept', 'closing']) {
      await client.call('CreateSession', { name });
      await preserveText(client, name, name);
    }
    const { notify } = host.manager;
    vi.spyOn(host.manager, 'notify').mockImplementation((...given) => {
      // Its manifest says that it is being closed, and nothing else is done of it.
      if (given[0].startsWith('FDSTOREREMOVE')) host.process?.kill();
      return host.process?.dead === true || notify.apply(host.manager, given);
    });
    client.call('CloseSession', { name: 'closing' }).catch(() => {});
    await host.process?.died;
    vi.restoreAllMocks();
    fillable(disk);
    host.kill();
    disk.full = true;
    client = await host.start();
    expect(await namesOf()).toEqual(['kept']);
    expect(host.log.join('\n')).not.toContain('could not be taken back');
    disk.full = false;
    await client.call('CreateSession', { name: 'next' });
    const { entries } = await client.call('QueryJournal', { name: 'session.close', ascending: true });
    expect(entries.at(-1)).toMatchObject({ ok: true, session: 'closing' });
  });
});

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

  it('of a name that another program holds is refused, and nothing is left of it', async () => {
    const device = host.double.openDevice(host.paths.device);
    const theirs = host.double.createSession(device, 's');
    device.close();
    await expect(client.call('CreateSession', { name: 's' })).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.SessionExists',
      parameters: { name: 's' },
    });
    expect([...host.manager.kept.keys()]).toEqual([]);
    theirs.close();
    await client.call('CreateSession', { name: 's' });
  });

  it('that was handed out and closed lives on with its holder, and so does its name', async () => {
    await client.call('CreateSession', { name: 's' });
    const { descriptors } = await client.exchange('FetchSession', { name: 's' });
    await client.call('CloseSession', { name: 's' });
    const again = client.call('CreateSession', { name: 's' });
    await expect(again).rejects.toMatchObject({ error: 'io.luoconsole.Agent.SessionExists' });
    for (const descriptor of descriptors) descriptor.close();
    await client.call('CreateSession', { name: 's' });
  });

  it('is lost if the agent dies with the only descriptor of it, and the outcome says so', async () => {
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'kept');
    const id = await runToKexec(host, client);
    host.becomeNextKernel();
    // The first one retrieves the index, the second one this session.
    const retrieves = { count: 0 };
    const { retrieveSession } = host.double;
    vi.spyOn(host.double, 'retrieveSession').mockImplementation(async (...given) => {
      const session = await retrieveSession.apply(host.double, given);
      retrieves.count += 1;
      if (given[1] !== 's') return session;
      host.process?.kill();
      session.close();
      return session;
    });
    await host.launch();
    await host.process?.died;
    host.kill();
    vi.restoreAllMocks();
    client = await startSettled(host);
    const { update } = await client.call('GetUpdate', { id });
    expect(retrieves.count).toBe(2);
    expect(update.outcome).toBe('unknown');
    expect(update.carried).toMatchObject([{ session: 's', label: 'kept', verdict: 'missing' }]);
    expect((await client.call('ListSessions', {})).sessions).toEqual([]);
  });

  it('whose finish the kernel refuses stays incoming, and the outcome says so', async () => {
    for (const name of ['s', 't']) {
      await client.call('CreateSession', { name });
      await preserveText(client, name, 'kept');
    }
    await runToKexec(host, client);
    const { finish, sessionName } = host.double;
    const refusing = vi.spyOn(host.double, 'finish').mockImplementation(async (session) => {
      if (sessionName.call(host.double, session) !== 's') return await finish.call(host.double, session);
      throw Object.assign(new Error('finish: EBUSY'), { code: 'EBUSY', errno: 16, syscall: 'ioctl' });
    });
    const { client: next, update } = await arriveInNextKernel(host);
    client = next;
    expect(update.outcome).toBe('updated');
    expect(update.reason).toMatch(/; session s: .*EBUSY/);
    expect(update.carried.map(({ session, verdict }) => [session, verdict])).toEqual([
      ['s', 'match'],
      ['t', 'match'],
    ]);
    expect((await client.call('GetSession', { name: 's' })).session.direction).toBe('incoming');
    expect((await client.call('GetSession', { name: 't' })).session.direction).toBe('outgoing');
    expect(await failedChecks()).toEqual(['sessions']);
    refusing.mockRestore();
    await client.call('FinishSession', { name: 's' });
    expect(await contentOf(client, 's', '0x0')).toBe('kept');
    expect(await failedChecks()).toEqual([]);
  });

  it('that cannot be retrieved is reported as absent, and can be retrieved by hand later', async () => {
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'kept');
    await runToKexec(host, client);
    host.becomeNextKernel();
    const { retrieveSession } = host.double;
    vi.spyOn(host.double, 'retrieveSession').mockImplementation(async (...given) => {
      if (given[1] !== 's') return await retrieveSession.apply(host.double, given);
      throw Object.assign(new Error('retrieveSession: ENOMEM'), {
        code: 'ENOMEM',
        errno: 12,
        syscall: 'ioctl',
      });
    });
    client = await startSettled(host);
    vi.restoreAllMocks();
    const [update] = (await client.call('ListUpdates', {})).updates;
    expect(update?.outcome).toBe('unknown');
    expect(update?.reason).toContain('ENOMEM');
    // Its memory is in the kernel.
    expect(update?.reason).not.toMatch(/lost/);
    expect(update?.reason).toContain('1 of 1 descriptor could not be looked at');
    const why =
      'not retrieved: its session could not be looked at: ENOMEM. Its memory is still in the kernel';
    expect(update?.carried).toMatchObject([{ verdict: 'missing', reason: why }]);
    expect((await client.call('QueryJournal', { name: 'sessions.lost' })).entries).toEqual([]);
    await client.call('RetrieveSession', { name: 's' });
    expect(await contentOf(client, 's', '0x0')).toBe('kept');
    const { session } = await client.call('GetSession', { name: 's' });
    expect(session.direction).toBe('incoming');
  });
});

describe('a session whose manifest is unreadable', () => {
  it('stays incoming after the update with everything in it, until somebody finishes it', async () => {
    await client.call('CreateSession', { name: 's' });
    using file = memfdWith('kept');
    await preserve(client, 's', file, 'kept');
    await runToKexec(host, client);
    tearManifest('s');
    const { client: next, update } = await arriveInNextKernel(host);
    client = next;
    expect(update.reason).toContain('session s has no readable manifest');
    expect(update.carried).toMatchObject([{ verdict: 'missing' }]);
    const { session } = await client.call('GetSession', { name: 's' });
    expect(session).toMatchObject({ direction: 'incoming', descriptors: [] });
    expect(await failedChecks()).toEqual(['sessions', 'unbuilt sessions']);
    // A program that knows the token still gets its memory out.
    const { descriptors } = await client.exchange('FetchSession', { name: 's' });
    const [incoming] = descriptors;
    if (!incoming) throw new Error('no descriptor came with the reply');
    const memory = await host.double.retrieveFd(incoming, 0n);
    expect(native.memory.read(memory, 0n, 4).toString()).toBe('kept');
    memory.close();
    incoming.close();
    await client.call('FinishSession', { name: 's' });
    expect((await client.call('ListSessions', {})).sessions).toEqual([]);
    expect(await failedChecks()).toEqual([]);
  });

  it('is held by an agent that was started again, and keeps updates from beginning', async () => {
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'kept');
    tearManifest('s');
    host.kill();
    client = await startSettled(host);
    expect(host.log.filter((line) => line.includes('could not be taken back'))).not.toEqual([]);
    const { session } = await client.call('GetSession', { name: 's' });
    expect(session).toMatchObject({ direction: 'outgoing', descriptors: [] });
    expect(await failedChecks()).toEqual(['unbuilt sessions']);
    await client.call('CloseSession', { name: 's' });
    expect(await failedChecks()).toEqual([]);
  });
});
