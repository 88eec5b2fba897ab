// SPDX-License-Identifier: Apache-2.0
/**
 * What is the index of an update is decided by what is in a session, not by its name alone: an agent before this one
 * reserved other names, so people may have a session named as the index is, or was.
 */
import { native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import { formerIndexSessionName, indexSessionName, manifestToken } from '../src/liveupdate/tokens.ts';
import { MadeUpHost } from './made-up-host.ts';
import { MadeUpVmms } from './made-up-vmms.ts';
import { arriveInNextKernel, contentOf, preserveText, runToKexec, startSettled } from './scenario.ts';

// The agent that made these sessions reserved no name.
vi.mock(import('../src/liveupdate/tokens.ts'), async (original) => ({
  ...(await original()),
  checkSessionName: () => {},
}));

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

async function makeSession(name: string): Promise<void> {
  await client.call('CreateSession', { name });
  await preserveText(client, name, 'theirs');
}

/** Overwrites what an incoming session has under the agent's own token, as any holder of it could. */
async function tear(name: string): Promise<void> {
  using device = host.double.openDevice(host.paths.device);
  const session = await host.double.retrieveSession(device, name);
  using file = await host.double.retrieveFd(session, manifestToken);
  const { size } = native.memory.fileFacts(file);
  native.memory.write(file, 0n, Buffer.alloc(Number(size), 'x'));
  // As a service manager that retrieved it for the agent.
  host.manager.kept.set(`s-${Buffer.from(name).toString('hex')}`, session);
}

const noMemory = (): Error =>
  Object.assign(new Error('retrieveSession: ENOMEM'), { code: 'ENOMEM', errno: 12, syscall: 'ioctl' });

describe('a session that people named as the index is or was named', () => {
  it.each([indexSessionName, formerIndexSessionName])('is carried over like any other: %s', async (name) => {
    await makeSession(name);
    for (const carried of [1, 2]) {
      await runToKexec(host, client);
      const arrived = await arriveInNextKernel(host);
      client = arrived.client;
      expect(arrived.update.outcome, arrived.update.reason).toBe('updated');
      expect(arrived.update.carried).toMatchObject([{ session: name, label: 'theirs', verdict: 'match' }]);
      const { session } = await client.call('GetSession', { name });
      expect(session).toMatchObject({ direction: 'outgoing', carried });
    }
    // An agent that is started again finds it among the stored ones.
    host.kill();
    client = await startSettled(host);
    expect(await contentOf(client, name, '0x0')).toBe('theirs');
  });

  it('is not taken for the index by the second look, which the agent makes with its journal open', async () => {
    await makeSession(indexSessionName);
    const id = await runToKexec(host, client);
    host.becomeNextKernel();
    const { retrieveSession } = host.double;
    const givenUp = () => host.log.filter((line) => line.includes('a session could not be retrieved'));
    vi.spyOn(host.double, 'retrieveSession').mockImplementation(async (...given) => {
      if (givenUp().length === 2) return await retrieveSession.apply(host.double, given);
      throw noMemory();
    });
    client = await startSettled(host);
    expect(givenUp()).toEqual(
      [indexSessionName, formerIndexSessionName].map((name) => expect.stringContaining(name)),
    );
    const { update } = await client.call('GetUpdate', { id });
    expect(update.outcome, update.reason).toBe('updated');
    expect(await contentOf(client, indexSessionName, '0x0')).toBe('theirs');
    // The index itself is done with.
    expect((await client.call('ListSessions', {})).sessions.map(({ name }) => name)).toEqual([
      indexSessionName,
    ]);
  });

  it('and whose manifest is unreadable is not taken for it where there is a readable one', async () => {
    await makeSession(indexSessionName);
    const id = await runToKexec(host, client);
    host.becomeNextKernel();
    await tear(indexSessionName);
    client = await startSettled(host);
    const { update } = await client.call('GetUpdate', { id });
    expect(update.outcome, update.reason).toBe('updated');
    const { session } = await client.call('GetSession', { name: indexSessionName });
    expect(session).toMatchObject({ direction: 'incoming', descriptors: [] });
  });
});

describe('an index that cannot be read', () => {
  it('at first, and can a moment later, brings its machines back', async () => {
    const vmms = new MadeUpVmms(host);
    const { guest, pid } = await vmms.start('one', 'named_memory');
    await client.call('AdoptMachine', { pid });
    await runToKexec(host, client);
    host.becomeNextKernel();
    await vmms.endAll();
    vi.spyOn(host.double, 'retrieveFd').mockRejectedValueOnce(noMemory());
    client = await startSettled(host);
    const [update] = (await client.call('ListUpdates', {})).updates;
    expect(update?.machines).toMatchObject([{ name: 'one', stage: 'resumed' }]);
    expect(guest).toMatchObject({ running: true, loaded: 'device state' });
    await vmms.endAll();
  });

  it('leaves the outcome unknown, brings the sessions back, and is finished', async () => {
    await makeSession('s');
    const id = await runToKexec(host, client);
    host.becomeNextKernel();
    await tear(indexSessionName);
    client = await startSettled(host);
    const { update } = await client.call('GetUpdate', { id });
    expect(update).toMatchObject({
      outcome: 'unknown',
      reason: expect.stringContaining(
        'the index session came through but cannot be read: neither of its slots',
      ),
      carried: [{ session: 's', label: 'theirs', verdict: 'match' }],
    });
    expect(await contentOf(client, 's', '0x0')).toBe('theirs');
    expect([...host.manager.kept.keys()].filter((name) => name.startsWith('s-'))).toEqual(['s-73']);
    await runToKexec(host, client);
    expect((await arriveInNextKernel(host)).update).toMatchObject({ outcome: 'updated', numberAfter: 2 });
  });
});
