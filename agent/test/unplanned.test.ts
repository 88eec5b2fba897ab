// SPDX-License-Identifier: Apache-2.0
/** What does not go as planned, and what the agent cannot know: neither may look better than it is. */
import { writeFileSync } from 'node:fs';
import { type Descriptor, native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import type { Update } from '../src/interface/agent.generated.ts';
import { MadeUpHost } from './made-up-host.ts';
import {
  arriveInNextKernel,
  contentOf,
  memfdWith,
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

describe('what did not come through as planned', () => {
  it('is never an update: a session that is gone, though nothing was in it', async () => {
    await client.call('CreateSession', { name: 'empty' });
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'kept');
    await runToKexec(host, client);
    host.becomeNextKernel();
    const device = host.double.openDevice(host.paths.device);
    using _taken = await host.double.retrieveSession(device, 'empty');
    device.close();
    await restart();
    const [update] = (await client.call('ListUpdates', {})).updates;
    expect(update?.outcome).toBe('unknown');
    expect(update?.reason).toContain('empty (the kernel has no session of that name)');
    expect(update?.carried).toMatchObject([{ label: 'kept', verdict: 'match' }]);
  });

  it('is said: another kernel than the planned one', async () => {
    await runToKexec(host, client);
    host.becomeNextKernel('7.3.4-c');
    await restart();
    const [update] = (await client.call('ListUpdates', {})).updates;
    expect(update).toMatchObject({ outcome: 'updated', arrivedRelease: '7.3.4-c' });
    expect(update?.reason).toContain('the host runs 7.3.4-c, and not 7.3.4-b as planned');
  });

  it('is said in whole sentences, also of a single descriptor', async () => {
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'volatile');
    const id = await runToKexec(host, client);
    host.powerCut();
    await restart();
    const { update } = await client.call('GetUpdate', { id });
    expect(update.reason).toMatch(/; 1 of 1 descriptor is lost$/);
  });

  it('is no cold boot where the kernel log has lost its beginning', async () => {
    const id = await runToKexec(host, client);
    host.powerCut();
    writeFileSync(host.paths.kernelLog, '6,9000,1,-;the beginning was overwritten\n');
    await restart();
    const { update } = await client.call('GetUpdate', { id });
    expect(update).toMatchObject({ outcome: 'unknown', numberAfter: null });
  });
});

describe('what fails once in the next kernel', () => {
  const failure = Object.assign(new Error('EIO'), { code: 'EIO', errno: 5, syscall: 'ioctl' });

  beforeEach(async () => {
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'kept');
    await runToKexec(host, client);
    host.becomeNextKernel();
  });

  afterEach(() => {
    vi.restoreAllMocks();
  });

  it('is tried again: retrieving a session', async () => {
    const { retrieveSession } = host.double;
    let failures = 0;
    vi.spyOn(host.double, 'retrieveSession').mockImplementation(async (device, name) => {
      if (name === 's' && failures++ === 0) throw failure;
      return await retrieveSession.call(host.double, device, name);
    });
    await restart();
    expect(failures).toBeGreaterThan(1);
    expect((await client.call('ListUpdates', {})).updates).toMatchObject([{ outcome: 'updated' }]);
    expect(await contentOf(client, 's', '0x0')).toBe('kept');
  });

  it('is tried again: opening the device', async () => {
    const { openDevice, retrieveSession } = host.double;
    let failures = 0;
    let indexCame = false;
    vi.spyOn(host.double, 'retrieveSession').mockImplementation(async (...given) => {
      indexCame = true;
      return await retrieveSession.apply(host.double, given);
    });
    vi.spyOn(host.double, 'openDevice').mockImplementation((...given) => {
      if (indexCame && failures++ === 0) throw failure;
      return openDevice.apply(host.double, given);
    });
    await restart();
    expect(failures).toBeGreaterThan(1);
    expect((await client.call('ListUpdates', {})).updates).toMatchObject([{ outcome: 'updated' }]);
    expect(await contentOf(client, 's', '0x0')).toBe('kept');
  });

  it('frees nothing: a service manager that does not take the session', async () => {
    const { notify } = host.manager;
    vi.spyOn(host.manager, 'notify').mockImplementation((state, ...given) => {
      if (state.includes(`FDNAME=s-${Buffer.from('s').toString('hex')}`)) throw failure;
      return notify.call(host.manager, state, ...given);
    });
    await restart();
    expect(await contentOf(client, 's', '0x0')).toBe('kept');
    const { entries } = await client.call('QueryJournal', { name: 'session.unkept' });
    expect(entries).toMatchObject([{ session: 's', message: expect.stringContaining('EIO') }]);
  });

  it('frees nothing: a descriptor that could not be retrieved stays in its session, which stays incoming', async () => {
    // The kernel has not come as far as the file. With ENOMEM it would have freed it.
    const full = Object.assign(new Error('EMFILE'), { code: 'EMFILE', errno: 24, syscall: 'ioctl' });
    const { retrieveFd } = host.double;
    vi.spyOn(host.double, 'retrieveFd').mockImplementation(async (session, token) => {
      if (token === 0n && host.double.sessionName(session) === 's') throw full;
      return await retrieveFd.call(host.double, session, token);
    });
    await restart();
    vi.restoreAllMocks();
    const [update] = (await client.call('ListUpdates', {})).updates;
    expect(update?.reason).toContain('session s has what could not be retrieved (EMFILE): it stays incoming');
    expect((await client.call('GetSession', { name: 's' })).session.direction).toBe('incoming');
    const { descriptors } = await client.exchange('FetchSession', { name: 's' });
    const [session] = descriptors;
    if (!session) throw new Error('no descriptor came with the reply');
    using file = await host.double.retrieveFd(session, 0n);
    expect(native.memory.read(file, 0n, 4).toString()).toBe('kept');
    session.close();
  });
});

describe('a session whose descriptor was handed out', () => {
  async function fetchSession(): Promise<Descriptor> {
    const { descriptors } = await client.exchange('FetchSession', { name: 's' });
    const [session] = descriptors;
    if (!session) throw new Error('no descriptor came with the reply');
    return session;
  }

  it('stays incoming after the update, so that nothing is freed that only its holder knows', async () => {
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'known');
    {
      using session = await fetchSession();
      using own = memfdWith('unknown to the agent');
      await host.double.preserveFd(session, own, 0x1000n);
    }
    const remove = client.call('RemoveDescriptor', { session: 's', token: '0x0' });
    await expect(remove).rejects.toMatchObject({ error: 'io.luoconsole.Agent.InvalidValue' });
    const { plan } = await client.call('MakePlan', { kernel: `${host.paths.boot}/vmlinuz-7.3.4-b` });
    expect(plan.steps.at(-1)?.title).toBe('Compare s and leave it incoming');
    await runToKexec(host, client);
    const update = await arrive();
    expect(update.outcome).toBe('updated');
    expect(update.reason).toContain('session s was handed out');
    expect(update.carried).toMatchObject([{ label: 'known', verdict: 'match' }]);
    // An agent that is started again does not forget it.
    host.kill();
    await restart();
    const { session } = await client.call('GetSession', { name: 's' });
    expect(session.direction).toBe('incoming');
    {
      using incoming = await fetchSession();
      using own = await host.double.retrieveFd(incoming, 0x1000n);
      expect(native.memory.read(own, 0n, 20).toString()).toBe('unknown to the agent');
    }
    await client.call('FinishSession', { name: 's' });
    expect(await contentOf(client, 's', '0x0')).toBe('known');
    await runToKexec(host, client);
    expect(await arrive()).toMatchObject({ outcome: 'updated', numberAfter: 2 });
    expect((await client.call('GetSession', { name: 's' })).session.direction).toBe('outgoing');
  });

  it('is in the journal as an act with its result, as is a descriptor that is handed out', async () => {
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'text', '0x7');
    (await fetchSession()).close();
    await contentOf(client, 's', '0x7');
    for (const [name, parameters] of [
      ['session.fetch', {}],
      ['session.fetchDescriptor', { token: '0x7' }],
    ] as const) {
      const { entries } = await client.call('QueryJournal', { name });
      expect(entries).toMatchObject([
        { kind: 'result', ok: true, durationUs: expect.any(Number) },
        { kind: 'act', session: 's', parameters, peer: { pid: process.pid } },
      ]);
    }
  });
});

describe('a session that could not be built anew', () => {
  it('is built by itself later, and is not run into an update before', async () => {
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'first');
    await preserveText(client, 's', 'second');
    const { createSession } = host.double;
    let refusals = 3;
    vi.spyOn(host.double, 'createSession').mockImplementation((...given) => {
      refusals -= 1;
      if (refusals < 0) return createSession.apply(host.double, given);
      throw Object.assign(new Error('createSession: ENOMEM'), {
        code: 'ENOMEM',
        errno: 12,
        syscall: 'ioctl',
      });
    });
    const following = client.stream('FollowJournal', { after: 0 });
    const remove = client.call('RemoveDescriptor', { session: 's', token: '0x0' });
    await expect(remove).rejects.toMatchObject({ parameters: { errno: 'ENOMEM' } });
    for await (const { entries } of following) {
      if (entries.some(({ name, ok }) => name === 'session.carry' && ok === true)) break;
    }
    expect(refusals).toBeLessThan(0);
    expect(await contentOf(client, 's', '0x1')).toBe('second');
    const { plan } = await client.call('MakePlan', { kernel: `${host.paths.boot}/vmlinuz-7.3.4-b` });
    expect(plan.checks.find(({ name }) => name === 'unbuilt sessions')?.verdict).toBe('pass');
    vi.restoreAllMocks();
  });
});
