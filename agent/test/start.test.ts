// SPDX-License-Identifier: Apache-2.0
/** How the agent starts where something it counts on is missing: the device, the journal, the index of the update. */
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import { followToOutcome } from '../src/luocon/watch-update.ts';
import { MadeUpHost } from './made-up-host.ts';
import { versions73 } from './made-up-kernel.ts';
import { MadeUpVmms } from './made-up-vmms.ts';
import { contentOf, preserveText, runToKexec, startSettled } from './scenario.ts';

let host: MadeUpHost;
let client: AgentClient;
let id: string;

/** A host that an update has just brought into its next kernel. No agent runs there yet. */
beforeEach(async () => {
  host = new MadeUpHost();
  client = await host.start();
  await client.call('CreateSession', { name: 's' });
  await preserveText(client, 's', 'kept');
  id = await runToKexec(host, client);
  host.becomeNextKernel();
});
afterEach(() => host.dispose());

const said = (text: string): boolean => host.log.some((line) => line.includes(text));

/** Shows a process that has the device open. */
function holdDevice(pid: number, command: string): void {
  const directory = join(host.paths.proc, `${pid}`);
  mkdirSync(join(directory, 'fd'), { recursive: true });
  writeFileSync(join(directory, 'comm'), `${command}\n`);
  symlinkSync(host.paths.device, join(directory, 'fd/3'));
}
const letGo = (pid: number): void => rmSync(join(host.paths.proc, `${pid}`), { recursive: true });

describe('the agent of the next kernel', () => {
  it('waits for the device while somebody else has it open, says who, and refuses what it cannot do yet', async () => {
    const device = host.double.openDevice(host.paths.device);
    holdDevice(77, 'luod');
    const starting = host.launch();
    client = await vi.waitFor(() => host.connect());
    const onAway = vi.fn();
    const outcome = followToOutcome(await host.connect(), id, {
      ...{ connect: () => host.connect(), giveUpAfterMs: 60_000, signal: new AbortController().signal },
      ...{ onProgress: () => {}, onAway, onWaiting: () => {}, onBack: () => {} },
    });
    const following = client.stream('GetStatus', {});
    const status = async () => (await following.next()).value?.status;
    expect(await status()).toMatchObject({
      phase: 'booting',
      liveUpdate: {
        availability: 'device_busy',
        explanation: expect.stringMatching(/^luod \(pid 77\) has \/dev\/liveupdate open/),
        number: 1,
      },
      you: { role: 'administrator' },
    });
    await expect(client.call('CreateSession', { name: 't' })).rejects.toMatchObject({
      message: expect.stringContaining('DeviceBusy'),
      parameters: { pid: 77, command: 'luod' },
    });
    expect(host.manager.messages).toContainEqual(
      expect.stringMatching(/^STATUS=waiting for the live update device: DeviceBusy: pid=77, command=luod/),
    );
    // The agent looks at both all the time, and may find one that is just ending.
    holdDevice(78, 'other');
    letGo(77);
    const explanation = async (): Promise<string> => {
      const next = await status();
      if (next === undefined) throw new Error('the stream has ended');
      return next.liveUpdate.explanation;
    };
    while (!/^other \(pid 78\)/.test(await explanation()));
    // Who follows an update goes on, without an error.
    expect(onAway).not.toHaveBeenCalled();
    letGo(78);
    device.close();
    await starting;
    await client.closed;
    expect(await outcome).toMatchObject({ outcome: 'updated' });
    expect(onAway).toHaveBeenCalledTimes(1);
    client = await host.connect();
    expect(await contentOf(client, 's', '0x0')).toBe('kept');
  });

  it('says what it waits for on the socket that the service manager handed in, and goes on with it', async () => {
    host.manager.kept.set('varlink', native.sockets.listenUnix(host.socketPath));
    const device = host.double.openDevice(host.paths.device);
    const starting = host.launch();
    client = await host.connect();
    expect((await client.call('GetStatus', {})).status.liveUpdate.availability).toBe('device_busy');
    device.close();
    await starting;
    client = await host.connect();
    expect((await client.call('GetStatus', {})).status.liveUpdate.availability).toBe('available');
    await host.agent?.settled;
    expect((await client.call('GetUpdate', { id })).update.outcome).toBe('updated');
  });

  it('lets a machine run on that a dead agent has stopped, while somebody else has the device open', async () => {
    const vmms = new MadeUpVmms(host);
    onTestFinished(() => vmms.endAll());
    client = await startSettled(host);
    const { guest, pid } = await vmms.start('one', 'named_memory');
    await client.call('AdoptMachine', { pid });
    host.install('7.3.4-c', versions73);
    const plan = await client.call('MakePlan', { kernel: `${host.paths.boot}/vmlinuz-7.3.4-c` });
    const update = await runToKexec(host, client, { plan: plan.plan });
    host.kill();
    expect(guest.running).toBe(false);
    const device = host.double.openDevice(host.paths.device);
    holdDevice(77, 'luod');
    const starting = host.launch();
    await vi.waitFor(() => expect(guest.running).toBe(true));
    client = await vi.waitFor(() => host.connect());
    expect((await client.call('GetStatus', {})).status.liveUpdate.availability).toBe('device_busy');
    letGo(77);
    device.close();
    await starting;
    await host.agent?.settled;
    client = await host.connect();
    expect((await client.call('GetUpdate', { id: update })).update.outcome).toBe('aborted');
    // Its session is as ever.
    const { machines } = await client.call('ListMachines', {});
    expect(machines).toMatchObject([{ name: 'one', session: 'machine:one', state: 'running' }]);
    expect(guest.commands.filter((each) => each === 'cont')).toHaveLength(1);
  });

  it('asks the service manager for more time until it is ready', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const asked = () => host.manager.messages.filter((message) => message.startsWith('EXTEND_TIMEOUT_USEC='));
    const device = host.double.openDevice(host.paths.device);
    const starting = host.launch();
    await vi.waitFor(() => expect(said('waiting for the live update device')).toBe(true));
    vi.advanceTimersByTime(20_000);
    expect(asked()).toEqual(['EXTEND_TIMEOUT_USEC=60000000', 'EXTEND_TIMEOUT_USEC=60000000']);
    device.close();
    await starting;
    vi.advanceTimersByTime(60_000);
    expect(asked()).toHaveLength(2);
  });

  it('goes on where the service manager cannot be told how it is', async () => {
    const { notify } = host.manager;
    vi.spyOn(host.manager, 'notify').mockImplementation((...given) => {
      if (/^(STATUS|READY|EXTEND)/.test(given[0])) throw new Error('ENOBUFS');
      return notify.apply(host.manager, given);
    });
    client = await startSettled(host);
    expect((await client.call('GetUpdate', { id })).update.outcome).toBe('updated');
    expect(said('the service manager could not be told')).toBe(true);
    vi.restoreAllMocks();
  });

  it('finds no device: everything is named as lost, and the outcome is unknown', async () => {
    host.double.openFailure = 'ENOENT';
    client = await startSettled(host);
    const { update } = await client.call('GetUpdate', { id });
    expect(update.outcome).toBe('unknown');
    expect(update.carried).toMatchObject([{ session: 's', verdict: 'missing' }]);
    expect((await client.call('GetStatus', {})).status.phase).toBe('normal');
  });

  it('retrieves nothing while its journal cannot be written, and everything once it can', async () => {
    const path = join(host.directory, 'state/journal.db');
    for (const ending of ['', '-wal', '-shm']) rmSync(`${path}${ending}`, { force: true });
    writeFileSync(path, 'damaged'.repeat(1000));
    client = await startSettled(host);
    expect(said('the journal cannot be used')).toBe(true);
    expect((await client.call('ListSessions', {})).sessions).toEqual([]);
    host.kill();
    host.forgetDisk();
    mkdirSync(join(host.directory, 'state'));
    client = await startSettled(host);
    expect((await client.call('GetUpdate', { id })).update.outcome).toBe('updated');
    expect(await contentOf(client, 's', '0x0')).toBe('kept');
  });

  it('finds the sessions by the journal where the index did not come, and calls the outcome unknown', async () => {
    const device = host.double.openDevice(host.paths.device);
    (await host.double.retrieveSession(device, 'luo-console')).close();
    device.close();
    client = await startSettled(host);
    const { update } = await client.call('GetUpdate', { id });
    expect(update).toMatchObject({
      outcome: 'unknown',
      reason: expect.stringContaining('without the index session'),
      carried: [{ session: 's', verdict: 'match' }],
    });
    expect(await contentOf(client, 's', '0x0')).toBe('kept');
  });

  it('that died before it had finished the index of a settled update finishes it, and nothing else', async () => {
    await startSettled(host);
    const at = host.process?.calls.lastIndexOf('finish') ?? -1;
    host.dispose();
    host = new MadeUpHost();
    client = await host.start();
    await client.call('CreateSession', { name: 's' });
    await preserveText(client, 's', 'kept');
    id = await runToKexec(host, client);
    host.becomeNextKernel();
    await host.launch({ at, when: 'before' });
    await Promise.race([host.process?.died, host.agent?.settled]);
    host.kill();
    const index = `s-${Buffer.from('luo-console').toString('hex')}`;
    expect(host.manager.kept.has(index)).toBe(true);
    client = await startSettled(host);
    expect(host.manager.kept.has(index)).toBe(false);
    expect((await client.call('QueryJournal', { name: 'update.settled' })).entries).toHaveLength(1);
    const { session } = await client.call('GetSession', { name: 's' });
    expect(session).toMatchObject({ direction: 'outgoing', carried: 1 });
  });

  it('that is started a second time in this boot finds everything as it was, and settles nothing again', async () => {
    client = await startSettled(host);
    host.kill();
    client = await startSettled(host);
    expect(await contentOf(client, 's', '0x0')).toBe('kept');
    const { entries } = await client.call('QueryJournal', { name: 'update.settled' });
    expect(entries).toHaveLength(1);
    expect((await client.call('QueryJournal', { name: 'sessions.lost' })).entries).toEqual([]);
  });
});
