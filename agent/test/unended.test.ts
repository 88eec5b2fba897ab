// SPDX-License-Identifier: Apache-2.0
/**
 * What the kernel or a file system does not end: nobody waits for it for ever, the next plan says so, and what comes of it
 * late is given back.
 */
import files from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import type { Native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import type { Check, Plan } from '../src/interface/agent.generated.ts';
import { MadeUpHost } from './made-up-host.ts';
import { type MadeUpVmm, MadeUpVmms } from './made-up-vmms.ts';
import { contentOf, planOf, preserveText, runToKexec } from './scenario.ts';

let host: MadeUpHost;
let vmms: MadeUpVmms;
let vmm: MadeUpVmm;
let client: AgentClient;
/** The call that does not come back, once there is one, and those that were held. */
let holding: string | null;
let begun: PromiseWithResolvers<void>;
let end: PromiseWithResolvers<void>;

/** Holds each call of this name before it is made. */
async function held<T>(name: string, call: () => Promise<T>): Promise<T> {
  if (holding === name) {
    holding = null;
    begun.resolve();
    await end.promise;
  }
  return await call();
}

const tap = (native: Native): Native => ({
  ...native,
  memory: {
    ...native.memory,
    sha256: (...given) => held('sha256', () => native.memory.sha256(...given)),
    allocate: (...given) => held('allocate', () => native.memory.allocate(...given)),
  },
  kernel: {
    ...native.kernel,
    kexecFileLoad: (...given) => held('kexecFileLoad', () => native.kernel.kexecFileLoad(...given)),
  },
});

beforeEach(async () => {
  holding = null;
  begun = Promise.withResolvers();
  end = Promise.withResolvers();
  host = new MadeUpHost();
  host.tap = tap;
  const { preserveFd, preserveFds } = host.double;
  vi.spyOn(host.double, 'preserveFd').mockImplementation((...given) =>
    held('preserveFd', () => preserveFd.apply(host.double, given)),
  );
  vi.spyOn(host.double, 'preserveFds').mockImplementation((...given) =>
    held('preserveFds', () => preserveFds.apply(host.double, given)),
  );
  vmms = new MadeUpVmms(host);
  client = await host.start();
  await client.call('CreateSession', { name: 's' });
  await preserveText(client, 's', 'kept');
  vmm = await vmms.start('one', 'cpr');
});

afterEach(async () => {
  end.resolve();
  vi.useRealTimers();
  vi.restoreAllMocks();
  await vmms.endAll();
  host.dispose();
});

const failedIn = ({ checks }: Plan): Check[] => checks.filter(({ verdict }) => verdict === 'fail');

/** The host is as it was, once what was held has ended. */
async function expectGivenBack(): Promise<void> {
  end.resolve();
  await vi.waitFor(async () => expect(failedIn(await planOf(host, client))).toEqual([]));
  expect(host.loaded).toBeNull();
  using device = host.double.openDevice(host.paths.device);
  // The kernel has no session of the index any more.
  host.double.createSession(device, 'luo-console').close();
  expect(await contentOf(client, 's', '0x0')).toBe('kept');
}

describe('an abort does not wait for the kernel', () => {
  it.each([
    ['kexecFileLoad', /^loading \S+\/vmlinuz-7\.3\.4-b has not ended yet; plan again once it has$/],
    ['preserveFd', /^creating the index session has not ended yet; plan again once it has$/],
    ['sha256', /^taking the digest of 0x0 in session s has not ended yet; plan again once it has$/],
    ['allocate', /^making room for the state of a machine has not ended yet; plan again once it has$/],
  ])('in %s', async (call, why) => {
    await client.call('AdoptMachine', { pid: vmm.pid });
    const running = runToKexec(host, client, { wait: 'settled', plan: await planOf(host, client) });
    holding = call;
    await begun.promise;
    const { update } = await client.call('AbortUpdate', { reason: 'changed my mind' });
    expect(update).toMatchObject({ id: await running, outcome: 'aborted', reason: 'changed my mind' });
    expect(vmm.guest.running).toBe(true);
    const plan = await planOf(host, client);
    expect(failedIn(plan)).toEqual([
      { name: 'last update', verdict: 'fail', detail: expect.stringMatching(why) },
    ]);
    await expectGivenBack();
    expect(host.log.join('\n')).toContain('what was left behind has ended');
  });
});

it('a kernel that is loaded late and cannot be dropped is said to be loaded', async () => {
  await client.call('AdoptMachine', { pid: vmm.pid });
  const running = runToKexec(host, client, { wait: 'settled', plan: await planOf(host, client) });
  holding = 'kexecFileLoad';
  await begun.promise;
  await client.call('AbortUpdate', {});
  await running;
  host.unload = () => Promise.reject(Object.assign(new Error('busy'), { code: 'EBUSY', errno: 16 }));
  end.resolve();
  await vi.waitFor(async () => {
    const { loadedKernel } = (await client.call('GetStatus', {})).status;
    expect(loadedKernel?.path).toBe(`${host.paths.boot}/vmlinuz-7.3.4-b`);
  });
  expect(host.loaded).not.toBeNull();
});

describe('a file system that does not answer', () => {
  beforeEach(async () => {
    await client.call('AdoptMachine', { pid: vmm.pid });
  });

  /** Holds what is asked of one path. */
  function hold(path: string): void {
    const { stat } = files;
    Reflect.set(files, 'stat', async (...given: Parameters<typeof stat>) => {
      if (given[0] === path) await held('stat', async () => {});
      return await stat(...given);
    });
    syncBuiltinESMExports();
    onTestFinished(() => {
      Reflect.set(files, 'stat', stat);
      syncBuiltinESMExports();
    });
    holding = 'stat';
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  }

  it('keeps no plan waiting, is named, and is not asked again before it has answered', async () => {
    hold(host.paths.etc);
    const silent = {
      error: 'io.luoconsole.Agent.FileUnusable',
      parameters: {
        path: host.paths.etc,
        errno: 'ETIMEDOUT',
        reason: 'its file system did not answer within 5 s',
      },
    };
    const planning = expect(planOf(host, client)).rejects.toMatchObject(silent);
    await begun.promise;
    vi.advanceTimersByTime(5000);
    await planning;
    await expect(planOf(host, client)).rejects.toMatchObject(silent);
    vi.useRealTimers();
    await expectGivenBack();
  });

  it('keeps no update from being aborted before it begins', async () => {
    const plan = await planOf(host, client);
    hold(host.paths.etc);
    const running = expect(runToKexec(host, client, { wait: 'settled', plan })).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.PlanNotRunnable',
      parameters: { reason: 'aborted before it began: changed my mind' },
    });
    await begun.promise;
    await expect(client.call('AbortUpdate', { reason: 'changed my mind' })).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.NothingToAbort',
    });
    await running;
    expect((await client.call('GetStatus', {})).status.phase).toBe('normal');
    expect((await client.call('ListUpdates', {})).updates).toEqual([]);
    vi.useRealTimers();
    await expectGivenBack();
  });
});

describe('an adoption', () => {
  it.each([
    [
      'preserveFds',
      /^preserving one: \/memfd:memory of one \(deleted\) was not done within 11 s, and goes on$/,
    ],
    ['preserveFd', /^creating session machine:one was not done within 10 s, and goes on$/],
  ])('is refused where the kernel does not come back from %s, and undone once it does', async (call, why) => {
    // The kernel has been asked what it preserves.
    await client.call('GetMachine', { pid: vmm.pid });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    holding = call;
    const adopting = client.call('AdoptMachine', { pid: vmm.pid });
    const refused = expect(adopting).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.KernelCallFailed',
      parameters: { errno: 'ETIMEDOUT', message: expect.stringMatching(why) },
    });
    await begun.promise;
    await vi.waitFor(async () => {
      await vi.advanceTimersByTimeAsync(5000);
      expect(host.log.join('\n')).toContain('left behind: it has not ended');
    });
    for (let turn = 0; turn < 4; turn += 1) await vi.advanceTimersByTimeAsync(5000);
    await refused;
    vi.useRealTimers();
    expect(vmm.guest.running).toBe(true);
    end.resolve();
    await vi.waitFor(async () => {
      const { sessions } = await client.call('ListSessions', {});
      expect(sessions.map(({ name }) => name)).toEqual(['s']);
    });
    await client.call('AdoptMachine', { pid: vmm.pid });
    await vi.waitFor(async () => expect(failedIn(await planOf(host, client))).toEqual([]));
  });
});
