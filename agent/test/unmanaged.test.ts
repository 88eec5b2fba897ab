// SPDX-License-Identifier: Apache-2.0
/** An agent that no service manager keeps descriptors for, or only a few; and one without live update. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MadeUpHost } from './made-up-host.ts';
import { preserveText, runToKexec } from './scenario.ts';

let host: MadeUpHost;

beforeEach(() => {
  host = new MadeUpHost();
});

afterEach(() => host.dispose());

describe('without a service manager', () => {
  it('works, warns before an update, and says after its death what is gone', async () => {
    host.managed = false;
    let client = await host.start();
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'text');
    const { plan } = await client.call('MakePlan', { kernel: `${host.paths.boot}/vmlinuz-7.3.4-b` });
    expect(plan.runnable).toBe(true);
    expect(plan.checks).toContainEqual(
      expect.objectContaining({ name: 'descriptor store', verdict: 'warn' }),
    );
    host.kill();
    client = await host.start();
    await host.agent?.settled;
    expect((await client.call('ListSessions', {})).sessions).toEqual([]);
    const { entries } = await client.call('QueryJournal', { name: 'sessions.lost' });
    expect(entries).toMatchObject([{ parameters: { sessions: ['s'], descriptors: [{ label: 'text' }] } }]);
  });
});

describe('an agent that dies behind the announcement', () => {
  it.each([
    { managed: true, verdict: 'unchecked', reason: 'the kexec did not happen' },
    { managed: false, verdict: 'missing', reason: 'went with the agent' },
  ])('leaves a record that says what became of each descriptor (managed: $managed)', async (how) => {
    host.managed = how.managed;
    let client = await host.start();
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'text');
    const id = await runToKexec(host, client, { graceSeconds: 600, wait: 'announced' });
    host.kill();
    client = await host.start();
    await host.agent?.settled;
    const { update } = await client.call('GetUpdate', { id });
    expect(update.outcome).toBe('aborted');
    expect(update.carried).toMatchObject([
      { verdict: how.verdict, reason: expect.stringContaining(how.reason) },
    ]);
  });
});

describe('a service manager that is full', () => {
  it('is not trusted with more than it keeps', async () => {
    host.places = 5;
    const client = await host.start();
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'one');
    await preserveText(client, 's', 'two').catch(() => {});
    const full = { error: 'io.luoconsole.Agent.KernelCallFailed', parameters: { errno: 'ENOSPC' } };
    await expect(preserveText(client, 's', 'three')).rejects.toMatchObject(full);
    await expect(client.call('CreateSession', { name: 't' })).rejects.toMatchObject(full);
    expect(host.manager.kept.size).toBeLessThanOrEqual(5);
  });
});

describe('a host without live update', () => {
  it('says why, and everything else works', async () => {
    host.double.openFailure = 'ENOENT';
    host.boot('7.3.4-a', [], 'root=/dev/vda');
    const client = await host.start();
    const { status } = await client.call('GetStatus', {});
    expect(status.liveUpdate).toMatchObject({ availability: 'not_enabled', number: 0 });
    await expect(client.call('CreateSession', { name: 's' })).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.NoLiveUpdate',
      parameters: { availability: 'not_enabled' },
    });
    const { plan } = await client.call('MakePlan', { kernel: `${host.paths.boot}/vmlinuz-7.3.4-b` });
    expect(plan.runnable).toBe(false);
    const { loaded } = await client.call('LoadKernel', { path: `${host.paths.boot}/vmlinuz-7.3.4-b` });
    expect(loaded).toMatchObject({ release: '7.3.4-b', commandLine: 'root=/dev/vda' });
    host.kill();
    const again = await host.start();
    expect((await again.call('ListKernels', {})).loaded).toMatchObject({ release: '7.3.4-b' });
    await again.call('UnloadKernel', {});
    expect(host.loaded).toBeNull();
  });
});
