// SPDX-License-Identifier: Apache-2.0
/** A live update with VMMs that look after their machines themselves: it waits for them, and they can stop it. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import type { Answer } from '../src/qemu/fake-qmp.fixture.ts';
import { MadeUpHost } from './made-up-host.ts';
import { MadeUpVmms } from './made-up-vmms.ts';
import { arriveInNextKernel, runToKexec } from './scenario.ts';

let host: MadeUpHost;
let client: AgentClient;

beforeEach(async () => {
  host = new MadeUpHost();
  client = await host.start();
  await client.call('CreateSession', { name: 'guest' });
});

afterEach(() => host.dispose());

/** Attends a session; `next` is what the agent says next of whether its machine has to stand still. */
function attend(name: string): { next(): Promise<boolean | undefined>; leave(): Promise<void> } {
  const replies = client.stream('AttendSession', { name });
  return {
    next: async () => (await replies.next()).value?.still,
    leave: () => replies.return().then(() => {}),
  };
}

describe('a live update with an attended session', () => {
  it('does not leave before the machine in it stands still', async () => {
    const vmm = attend('guest');
    expect(await vmm.next()).toBe(false);
    const asked = host.kexecAsked().then(() => 'kexec');
    const running = runToKexec(host, client);
    expect(await vmm.next()).toBe(true);
    expect((await client.call('GetStatus', {})).status.phase).toBe('suspending');
    expect(await Promise.race([asked, Promise.resolve('waiting')])).toBe('waiting');
    await client.call('ReportStill', { name: 'guest' });
    expect(await asked).toBe('kexec');
    await running;
    // Until then only what ends a blackout is answered.
    ({ client } = await arriveInNextKernel(host));
    const { entries } = await client.call('QueryJournal', { session: 'guest', name: 'session.still' });
    // Nothing was written while the machine was stopped.
    expect(entries).toMatchObject([{ kind: 'note', update: expect.any(String) }]);
  });

  it('ends the saving of another machine as soon as one cannot be stopped', async () => {
    const vmms = new MadeUpVmms(host);
    const nothing: Answer = () => {};
    const slow = await vmms.start('slow', 'named_memory', { migrate: nothing });
    await client.call('AdoptMachine', { pid: slow.pid });
    const vmm = attend('guest');
    await vmm.next();
    const running = runToKexec(host, client, { wait: 'settled' });
    await vmm.next();
    await vi.waitFor(() => expect(slow.guest.commands).toContain('migrate'));
    await client.call('ReportStill', { name: 'guest', problem: 'it is busy' });
    const { update } = await client.call('GetUpdate', { id: await running });
    expect(update).toMatchObject({ outcome: 'aborted', reason: 'session guest: it is busy' });
    expect(slow.guest.running).toBe(true);
    await vmm.leave();
    await vmms.endAll();
  });

  it('is aborted if a machine cannot come along, and those that stand still may run', async () => {
    await client.call('CreateSession', { name: 'other' });
    const [vmm, other] = [attend('guest'), attend('other')];
    expect([await vmm.next(), await other.next()]).toEqual([false, false]);
    const running = runToKexec(host, client, { wait: 'settled' });
    expect([await vmm.next(), await other.next()]).toEqual([true, true]);
    await client.call('ReportStill', { name: 'guest' });
    await client.call('ReportStill', { name: 'other', problem: 'its memory is not preserved' });
    const { update } = await client.call('GetUpdate', { id: await running });
    expect(update).toMatchObject({
      outcome: 'aborted',
      reason: 'session other: its memory is not preserved',
    });
    expect([await vmm.next(), await other.next()]).toEqual([false, false]);
  });

  it('is aborted if its VMM ends without an answer', async () => {
    const vmm = attend('guest');
    expect(await vmm.next()).toBe(false);
    const running = runToKexec(host, client, { wait: 'settled' });
    expect(await vmm.next()).toBe(true);
    await vmm.leave();
    const { update } = await client.call('GetUpdate', { id: await running });
    expect(update).toMatchObject({
      outcome: 'aborted',
      reason: 'session guest: the VMM that attended it has gone',
    });
  });

  it('can be aborted while it waits', async () => {
    const vmm = attend('guest');
    expect(await vmm.next()).toBe(false);
    const running = runToKexec(host, client, { wait: 'settled' });
    expect(await vmm.next()).toBe(true);
    const { update } = await client.call('AbortUpdate', { reason: 'changed my mind' });
    expect(update).toMatchObject({ outcome: 'aborted', reason: 'changed my mind' });
    expect(await vmm.next()).toBe(false);
    await running;
  });
});

describe('attending a session', () => {
  it('needs one, and one that nobody else attends', async () => {
    await expect(attend('nothing').next()).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.SessionNotFound',
    });
    const vmm = attend('guest');
    await vmm.next();
    await expect(attend('guest').next()).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.InvalidValue',
    });
    await expect(client.call('ReportStill', { name: 'guest' })).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.InvalidValue',
    });
  });
});
