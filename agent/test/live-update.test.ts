// SPDX-License-Identifier: Apache-2.0
/** A live update of the whole agent on a made-up host, from the plan to the outcome, and its abort. */
import { native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import type { Update } from '../src/interface/agent.generated.ts';
import { longestGraceSeconds } from '../src/interface/limits.ts';
import { formerIndexSessionName, indexSessionName } from '../src/liveupdate/tokens.ts';
import { MadeUpHost } from './made-up-host.ts';
import {
  arriveInNextKernel,
  contentOf,
  memfdWith,
  planOf,
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

afterEach(() => host.dispose());

async function restart(): Promise<void> {
  client = await startSettled(host);
}

async function arrive(): Promise<Update> {
  const arrived = await arriveInNextKernel(host);
  client = arrived.client;
  return arrived.update;
}

describe('a live update', () => {
  it('carries sessions into the next kernel and proves it', async () => {
    await client.call('CreateSession', { name: 'one' });
    await client.call('CreateSession', { name: 'two' });
    await preserveText(client, 'one', 'first', '0x10');
    await preserveText(client, 'one', 'second');
    await preserveText(client, 'two', 'third');
    const id = await runToKexec(host, client);

    const update = await arrive();
    expect(update).toMatchObject({
      id,
      outcome: 'updated',
      fromRelease: '7.3.4-a',
      arrivedRelease: '7.3.4-b',
      numberBefore: 0,
      numberAfter: 1,
    });
    // Without a grace it ends when the kexec is announced; both lie in phase prepared.
    const [, prepared, suspending] = update.phases;
    expect(update.announcedAtUs).toBeGreaterThanOrEqual(prepared?.startedAtUs ?? Number.POSITIVE_INFINITY);
    expect(update.announcedAtUs).toBeLessThanOrEqual(suspending?.startedAtUs ?? 0);
    expect(update.graceEndsAtUs).toBe(update.announcedAtUs);
    expect(update.carried.map(({ session, label, verdict }) => [session, label, verdict])).toEqual([
      ['one', 'first', 'match'],
      ['one', 'second', 'match'],
      ['two', 'third', 'match'],
    ]);
    const before = ['preserving', 'prepared', 'suspending', 'kexec'];
    const after = ['booting', 'retrieving', 'resuming', 'finishing'];
    expect(update.phases.map(({ phase }) => phase)).toEqual([...before, ...after]);
    expect(update.phases.every(({ durationUs }) => durationUs !== null)).toBe(true);
    expect(update.blackoutUs).toBeGreaterThan(0);
    expect(await contentOf(client, 'one', '0x10')).toBe('first');
    const { session } = await client.call('GetSession', { name: 'one' });
    expect(session).toMatchObject({ direction: 'outgoing', carried: 1 });
    expect(await client.call('VerifyJournal', {})).toMatchObject({ intact: true, firstBad: null });
  });

  it('is repeatable: what was carried is protected for the next one', async () => {
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'durable');
    for (const number of [1, 2, 3]) {
      await runToKexec(host, client);
      expect(await arrive()).toMatchObject({ outcome: 'updated', numberAfter: number });
    }
    const { session } = await client.call('GetSession', { name: 's' });
    expect(session.carried).toBe(3);
    expect(await contentOf(client, 's', '0x0')).toBe('durable');
  });

  it('needs nothing from disk: an empty journal learns of the update from the index', async () => {
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'kept');
    const id = await runToKexec(host, client);
    host.becomeNextKernel();
    host.forgetDisk();
    await restart();
    const { update } = await client.call('GetUpdate', { id });
    expect(update).toMatchObject({ outcome: 'updated', fromRelease: '7.3.4-a' });
    expect(await contentOf(client, 's', '0x0')).toBe('kept');
  });

  it('settles an update that the agent of the old package ran, whose index had another name', async () => {
    const create = host.double.createSession.bind(host.double);
    host.double.createSession = (device, name) =>
      create(device, name === indexSessionName ? formerIndexSessionName : name);
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'kept');
    const id = await runToKexec(host, client);
    host.double.createSession = create;
    host.becomeNextKernel();
    host.forgetDisk();
    await restart();
    const { update } = await client.call('GetUpdate', { id });
    expect(update).toMatchObject({ outcome: 'updated', carried: [{ label: 'kept', verdict: 'match' }] });
    // The index is done with, in the kernel and in the store: neither name is taken any more.
    await runToKexec(host, client);
    expect(await arrive()).toMatchObject({ outcome: 'updated', numberAfter: 2 });
  });

  it('tells its followers that the kexec begins, and takes no abort once the reboot call is made', async () => {
    const told = Promise.withResolvers<void>();
    const refused = Promise.withResolvers<unknown>();
    host.reboot = async () => {
      await told.promise;
      const asking = (await host.connect()).call('AbortUpdate', {});
      refused.resolve(await asking.catch((error: unknown) => error));
    };
    const { plan } = await client.call('MakePlan', { kernel: `${host.paths.boot}/vmlinuz-7.3.4-b` });
    const asked = host.kexecAsked();
    const follow = async (): Promise<void> => {
      for await (const { progress } of client.stream('RunUpdate', { plan: plan.id })) {
        if (progress.phase !== 'kexec') continue;
        expect(progress).toMatchObject({ step: 'kexec', mayAbort: false });
        told.resolve();
      }
    };
    const following = follow();
    following.catch(told.reject);
    await asked;
    expect(await refused.promise).toMatchObject({ error: 'io.luoconsole.Agent.WrongPhase' });
  });

  it('tells whoever follows a settled update by its id how it ended, at once', async () => {
    const id = await runToKexec(host, client);
    await arrive();
    const news = [];
    for await (const each of client.stream('FollowUpdate', { update: id })) news.push(each);
    expect(news).toMatchObject([{ progress: null, update: { id, outcome: 'updated' } }]);
    const unknown = client.stream('FollowUpdate', { update: 'nothing' })[Symbol.asyncIterator]();
    await expect(unknown.next()).rejects.toMatchObject({ error: 'io.luoconsole.Agent.UpdateNotFound' });
  });

  it('says cold boot and names everything lost after a power cut behind the announcement', async () => {
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'volatile');
    const id = await runToKexec(host, client);
    host.powerCut();
    await restart();
    const { update } = await client.call('GetUpdate', { id });
    expect(update.outcome).toBe('cold_boot');
    expect(update.carried).toMatchObject([{ session: 's', label: 'volatile', verdict: 'missing' }]);
    expect((await client.call('ListSessions', {})).sessions).toEqual([]);
  });

  it('notes what a power cut takes when no update was under way', async () => {
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'volatile');
    host.powerCut();
    await restart();
    const { entries } = await client.call('QueryJournal', { name: 'sessions.lost' });
    expect(entries).toMatchObject([
      { parameters: { sessions: ['s'], descriptors: [{ label: 'volatile' }] } },
    ]);
    host.powerCut();
    await restart();
    expect((await client.call('QueryJournal', { name: 'sessions.lost' })).entries).toHaveLength(1);
  });

  it('reports a handover the next kernel refused as unknown', async () => {
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'stranded');
    const id = await runToKexec(host, client);
    host.powerCut();
    const incompatible = "KHO: setup: handover FDT (0x1000) is incompatible with 'kho-v5': -22";
    host.boot('7.3.4-b', [incompatible, 'KHO: disabling KHO revival']);
    await restart();
    const { update } = await client.call('GetUpdate', { id });
    expect(update.outcome).toBe('unknown');
    expect(update.reason).toContain('kho-v5');
    expect(update.carried).toMatchObject([{ verdict: 'missing' }]);
  });

  it('says returned with the errno when the kernel refuses, and leaves everything as it was', async () => {
    host.kexec = 'refused';
    host.refusal = 'luo: Freeze failed for token[0x0] handler[memfd-v2] err[-16]';
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'kept');
    const id = await runToKexec(host, client, { wait: 'settled' });
    const { update } = await client.call('GetUpdate', { id });
    expect(update.outcome).toBe('returned');
    expect(update.reason).toContain('EBUSY');
    expect(update.refusedBy).toMatchObject({ session: 's', token: '0x0', phase: 'kexec', errno: 'EBUSY' });
    expect(host.loaded).toBeNull();
    expect(await contentOf(client, 's', '0x0')).toBe('kept');
    expect((await client.call('GetStatus', {})).status.phase).toBe('normal');
    const { entries } = await client.call('QueryJournal', { name: 'update.kexec' });
    expect(entries).toMatchObject([
      { kind: 'result', ok: false, errno: 'EBUSY', durationUs: expect.any(Number) },
      { kind: 'act' },
    ]);
  });

  it('says which descriptor differs when something wrote to it after its digest', async () => {
    await client.call('CreateSession', { name: 's' });
    using file = memfdWith('before');
    await preserve(client, 's', file, 'changing');
    await preserveText(client, 's', 'steady');
    await runToKexec(host, client);
    native.memory.write(file, 0n, Buffer.from('after!'));
    const update = await arrive();
    expect(update.outcome).toBe('updated');
    expect(update.carried.map(({ verdict }) => verdict)).toEqual(['differs', 'match']);
    expect(update.reason).toContain('1 of 2 descriptors differs from its digest');
  });

  it('takes back what systemd 261 carried through its own kexec, without retrieving by name', async () => {
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'kept');
    host.becomeNextKernel();
    await host.retrieveIntoStore('s');
    await restart();
    const { sessions } = await client.call('ListSessions', {});
    expect(sessions).toMatchObject([{ name: 's', direction: 'outgoing', carried: 1 }]);
    expect(sessions[0]?.descriptors).toMatchObject([{ label: 'kept' }]);
    expect(await contentOf(client, 's', '0x0')).toBe('kept');
  });
});

describe('a grace', () => {
  it('longer than the longest is refused, and nothing begins', async () => {
    const running = client.stream('RunUpdate', {
      plan: (await planOf(host, client)).id,
      graceSeconds: longestGraceSeconds + 1,
    });
    await expect(running.next()).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.InvalidValue',
      parameters: { parameter: 'graceSeconds', expected: `0 to ${longestGraceSeconds}` },
    });
    expect((await client.call('ListUpdates', {})).updates).toEqual([]);
  });
});

describe('aborting', () => {
  it('leaves no index, no kernel and the memory untouched; it closes sessions only if asked', async () => {
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'untouched');
    for (const closeSessions of [false, true]) {
      const id = await runToKexec(host, client, { graceSeconds: 600, wait: 'announced' });
      const { update } = await client.call('AbortUpdate', { reason: 'changed my mind', closeSessions });
      expect(update).toMatchObject({ id, outcome: 'aborted', reason: 'changed my mind' });
      expect(host.loaded).toBeNull();
      const { entries } = await client.call('QueryJournal', { name: 'update.abort', limit: 2 });
      expect(entries).toMatchObject([
        { kind: 'result', ok: true },
        { kind: 'act', update: id, peer: { pid: process.pid }, parameters: { closeSessions } },
      ]);
      if (!closeSessions) expect(await contentOf(client, 's', '0x0')).toBe('untouched');
    }
    expect((await client.call('ListSessions', {})).sessions).toEqual([]);
    // A session of the index's name can be made only if the index is gone.
    using device = host.double.openDevice(host.paths.device);
    host.double.createSession(device, 'luo-console').close();
    const nothing = { error: 'io.luoconsole.Agent.NothingToAbort' };
    await expect(client.call('AbortUpdate', {})).rejects.toMatchObject(nothing);
  });

  it('is what an agent finds that was restarted behind the announcement', async () => {
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'kept');
    const id = await runToKexec(host, client, { graceSeconds: 600, wait: 'announced' });
    host.kill();
    await restart();
    const { update } = await client.call('GetUpdate', { id });
    expect(update.outcome).toBe('aborted');
    expect(update.reason).toContain('stopped after announcing');
    expect(host.loaded).toBeNull();
    expect(await contentOf(client, 's', '0x0')).toBe('kept');
  });
});
