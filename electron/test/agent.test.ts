// SPDX-License-Identifier: Apache-2.0
/**
 * Everything between the bridge's handlers and an agent, over a real socket with a real Varlink server behind it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { writeJournalFile } from '../src/saving/journal-file.ts';
import { setUp, startAgent } from './main-process.ts';
import { sampleEntry } from './samples.ts';

function session(name: string) {
  return {
    name,
    direction: 'outgoing' as const,
    createdAtUs: 1,
    createdBy: 'root',
    carried: 0,
    size: 0,
    descriptors: [],
  };
}

describe('a host with an agent', () => {
  test('is connected, followed, asked and told', async () => {
    const { path, id, connections, state, seen } = setUp();
    const agent = startAgent(path);
    agent.sessions = [session('vm')];
    connections.connect(id);
    await state('connected');
    expect(connections.view(id).status).toMatchObject({ hostName: 'lab', phase: 'normal' });
    agent.enter('preserving');
    await vi.waitFor(() => expect(connections.view(id).status).toMatchObject({ phase: 'preserving' }));
    expect(seen.map((host) => host.state)).toContain('connecting');
    expect(await connections.call(id, 'ListSessions', {})).toMatchObject({ sessions: [{ name: 'vm' }] });
    expect(await connections.read(id, 'GetSession', { name: 'vm' })).toMatchObject({
      live: true,
      parameters: { session: { name: 'vm' } },
    });
    await expect(connections.call(id, 'GetSession', { name: 'none' })).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.SessionNotFound',
      parameters: { name: 'none' },
    });
    await expect(connections.call(id, 'GetSession', { nome: 'vm' })).rejects.toMatchObject({
      error: 'org.varlink.service.InvalidParameter',
    });
  });

  test.each([
    ['call', 'FetchDescriptor'],
    ['call', 'PreserveDescriptor'],
    ['call', 'RunUpdate'],
    ['call', 'Nonsense'],
    ['call', 'toString'],
    ['read', 'CreateSession'],
    ['read', 'MakePlan'],
  ] as const)('cannot be made to %s %s', async (manner, method) => {
    const { id, connections } = setUp();
    await expect(connections[manner](id, method, {})).rejects.toMatchObject({
      error: 'io.luoconsole.Console.MethodNotAllowed',
      parameters: { method },
    });
  });

  test('answers one question while another waits', async () => {
    const { path, id, connections, state } = setUp();
    const agent = startAgent(path);
    connections.connect(id);
    await state('connected');
    const slow = Promise.withResolvers<void>();
    agent.beforeListCandidates = () => slow.promise;
    const first = connections.call(id, 'ListCandidates', {});
    expect(await connections.call(id, 'ListSessions', {})).toEqual({ sessions: [] });
    slow.resolve();
    expect(await first).toEqual({ processes: [] });
  });

  test('is asked for its held machines, and has none if its agent is too old to know', async () => {
    const { path, id, connections, replica, state } = setUp();
    const agent = startAgent(path);
    agent.heldMachines = [{ session: 'vm', name: 'web', way: 'cpr', size: 4096, problem: null, names: [] }];
    connections.connect(id);
    await state('connected');
    const read = () => connections.read(id, 'ListHeldMachines', {});
    expect(await read()).toMatchObject({ live: true, parameters: { machines: agent.heldMachines } });
    agent.heldMachines = null;
    expect(await read()).toMatchObject({ live: true, parameters: { machines: [] } });
    expect(replica.answer(id, 'ListHeldMachines', {})?.reply).toEqual({ machines: [] });
    // A call goes to the agent as it is.
    await expect(connections.call(id, 'ListHeldMachines', {})).rejects.toMatchObject({
      error: 'org.varlink.service.MethodNotFound',
    });
  });

  test('is refused what is not there, with a reason', async () => {
    const { path, id, connections, state } = setUp();
    connections.connect(id);
    await state('failed');
    expect(connections.view(id).detail).toBe(
      `${path}: the socket does not exist; is luo-console-agent running?`,
    );
    await expect(connections.call(id, 'ListSessions', {})).rejects.toMatchObject({
      error: 'io.luoconsole.Console.NotConnected',
      parameters: { id, state: 'failed' },
    });
  });
});

describe('a host that goes through a kexec', () => {
  test('is away, is answered for by the replica, and comes back by itself', async () => {
    const { path, id, connections, replica, state } = setUp();
    const before = startAgent(path);
    before.sessions = [session('vm')];
    before.entries = [sampleEntry(1), sampleEntry(2)];
    connections.connect(id);
    await state('connected');
    // Nobody has asked for these; the replica has them all the same.
    await vi.waitFor(() => expect(replica.answer(id, 'ListUpdates', {})).not.toBeNull());
    before.append(sampleEntry(3));
    await vi.waitFor(() => expect(replica.journal(id).end()?.sequence).toBe(3));
    const journal = () => connections.journalLines(id);
    const stuck = Promise.withResolvers<void>();
    before.beforeListCandidates = () => stuck.promise;
    const unanswered = expect(connections.call(id, 'ListCandidates', {})).rejects.toMatchObject({
      error: 'io.luoconsole.Console.NotConnected',
      parameters: { id, state: 'away' },
    });
    before.enter('kexec');
    await vi.waitFor(() => expect(connections.view(id).status).toMatchObject({ phase: 'kexec' }));
    const closing = before.close();
    await state('away');
    await unanswered;
    stuck.resolve();
    await closing;
    expect(connections.view(id).detail).toMatch(/^Replacing its kernel/);
    expect(await connections.read(id, 'ListSessions', {})).toMatchObject({
      live: false,
      parameters: { sessions: [{ name: 'vm' }] },
    });
    const page = await connections.read(id, 'QueryJournal', { limit: 1 });
    expect(page).toMatchObject({ live: false, parameters: { entries: [{ sequence: 3 }], more: true } });
    await expect(connections.read(id, 'VerifyJournal', {})).rejects.toMatchObject({
      error: 'io.luoconsole.Console.NothingKnown',
      parameters: { id, method: 'VerifyJournal' },
    });
    expect((await Array.fromAsync(journal())).join('').split('\n')).toHaveLength(4);

    const after = startAgent(path);
    after.status = { ...after.status, bootId: 'boot-2', kernelRelease: '7.3.4-b' };
    after.entries = [1, 2, 3, 4].map((sequence) => sampleEntry(sequence));
    await state('connected');
    expect(connections.view(id).status).toMatchObject({ bootId: 'boot-2' });
    expect((await Array.fromAsync(journal())).join('').split('\n')).toHaveLength(5);
  });

  test('ends what was followed, with an error', async () => {
    const { path, id, connections, state } = setUp();
    const agent = startAgent(path);
    agent.entries = [sampleEntry(1)];
    connections.connect(id);
    await state('connected');
    const follow = connections.follow(id, 'FollowJournal', { after: 0 }, new AbortController().signal);
    expect((await follow.next()).value).toMatchObject({ entries: [{ sequence: 1 }] });
    const next = follow.next();
    const ended = expect(next).rejects.toMatchObject({
      error: 'io.luoconsole.Console.NotConnected',
      parameters: { id },
    });
    await connections.disconnect(id);
    await ended;
    expect(connections.view(id).state).toBe('disconnected');
  });

  test('is remembered by the next run', async () => {
    const first = setUp();
    const agent = startAgent(first.path);
    agent.enter('prepared');
    first.connections.connect(first.id);
    await first.state('connected');
    await first.end();
    await agent.close();
    const second = setUp(first.folder);
    const view = second.connections.view(second.id);
    expect(view).toMatchObject({ id: first.id, state: 'disconnected', status: { phase: 'prepared' } });
    expect(view.statusAtUs).toBeGreaterThan(0);
  });
});

describe('changing the list', () => {
  test('connects anew only if the way to the host has changed', async () => {
    const { folder, path, id, connections, hosts, state } = setUp();
    startAgent(path);
    connections.connect(id);
    await state('connected');
    const fields = { name: 'renamed', address: `unix:${path}`, sshConfig: null, serialSocket: null };
    expect(await connections.edit(id, fields)).toMatchObject({ name: 'renamed', state: 'connected' });
    const elsewhere = join(folder, 'other.sock');
    startAgent(elsewhere).status = { ...startAgent(join(folder, 'third.sock')).status, hostName: 'other' };
    await connections.edit(id, { ...fields, address: `unix:${elsewhere}` });
    await vi.waitFor(() => expect(connections.view(id).status).toMatchObject({ hostName: 'other' }));
    await connections.remove(id);
    expect(hosts.all()).toEqual([]);
    expect(() => connections.connect(id)).toThrow(expect.objectContaining({ parameters: { id } }));
    const { host } = { host: connections.added(hosts.add({ ...fields, name: 'new' })) };
    expect(host).toMatchObject({ name: 'new', state: 'disconnected', status: null });
  });
});

describe('a saved journal', () => {
  test('has one line an entry and replaces the file as a whole', async () => {
    const { folder, path, id, connections, state } = setUp();
    const agent = startAgent(path);
    agent.entries = [sampleEntry(1), sampleEntry(2)];
    connections.connect(id);
    await state('connected');
    const file = join(folder, 'journal.jsonl');
    expect(await writeJournalFile(file, connections.journalLines(id))).toBe(2);
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toEqual(agent.entries);
    async function* broken() {
      yield 'half\n';
      throw new Error('lost');
    }
    await expect(writeJournalFile(file, broken())).rejects.toThrow('lost');
    expect(readFileSync(file, 'utf8').trimEnd().split('\n')).toEqual(lines);
    expect(readdirSync(folder).filter((name) => name.startsWith('journal'))).toEqual(['journal.jsonl']);
    await expect(writeJournalFile(join(folder, 'none/j'), [])).rejects.toMatchObject({
      error: 'io.luoconsole.Console.FileUnusable',
      parameters: { errno: 'ENOENT' },
    });
  });

  test('of a host that was never there cannot be had', () => {
    const { id, connections } = setUp();
    expect(() => connections.journalLines(id)).toThrow(
      expect.objectContaining({ error: 'io.luoconsole.Console.NothingKnown' }),
    );
  });
});
