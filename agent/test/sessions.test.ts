// SPDX-License-Identifier: Apache-2.0
/** Sessions through the real server: what is refused, and how it is said. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AgentClient, AgentErrorName } from '../src/client/index.ts';
import { MadeUpHost } from './made-up-host.ts';
import { contentOf, memfdWith, preserve, preserveText, runToKexec } from './scenario.ts';

let host: MadeUpHost;
let client: AgentClient;

beforeEach(async () => {
  host = new MadeUpHost();
  client = await host.start();
  await client.call('CreateSession', { name: 's' });
});

afterEach(() => host.dispose());

async function expectRefused(
  call: Promise<unknown>,
  name: AgentErrorName,
  parameters: object = {},
): Promise<void> {
  await expect(call).rejects.toMatchObject({ error: `io.luoconsole.Agent.${name}`, parameters });
}

describe('creating and closing', () => {
  it('refuses names that the kernel, people or the agent could not bear', async () => {
    for (const name of ['', 'x'.repeat(64), 'ü'.repeat(32), 'a\nb', 'luo-console', 'luo-agent', '\ud800']) {
      await expectRefused(client.call('CreateSession', { name }), 'InvalidValue', { parameter: 'name' });
    }
    await client.call('CreateSession', { name: 'ü'.repeat(31) });
    await expectRefused(client.call('CreateSession', { name: 's' }), 'SessionExists', { name: 's' });
    await expectRefused(client.call('GetSession', { name: 'luo-console' }), 'SessionNotFound');
  });

  it('unpreserves everything and leaves nothing with the service manager', async () => {
    using file = memfdWith('text');
    await preserve(client, 's', file, 'label');
    await client.call('CloseSession', { name: 's' });
    expect([...host.manager.kept.keys()]).toEqual([]);
    await client.call('CreateSession', { name: 's' });
    await preserve(client, 's', file, 'again');
    await client.call('CloseSession', { name: 's' });
    await expectRefused(client.call('CloseSession', { name: 's' }), 'SessionNotFound', { name: 's' });
  });
});

describe('preserving', () => {
  it('takes the next free token, or the one that is asked for', async () => {
    await preserveText(client, 's', 'zero');
    await preserveText(client, 's', 'two', '0x2');
    await preserveText(client, 's', 'next');
    await preserveText(client, 's', 'top', '0xfffffffffffeffff');
    const { session } = await client.call('GetSession', { name: 's' });
    expect(session.descriptors.map(({ token }) => token)).toEqual([
      '0x0',
      '0x2',
      '0x3',
      '0xfffffffffffeffff',
    ]);
    expect(session.size).toBe('zerotwonexttop'.length);
    expect(session.descriptors[0]).toMatchObject({
      kind: 'memfd',
      direction: 'outgoing',
      verdict: 'unchecked',
      digest: null,
    });
  });

  it('of many at once is as of one after the other: each has its own result, and all are one act', async () => {
    using twice = memfdWith('twice');
    using other = memfdWith('asked for');
    using late = memfdWith('asked for too');
    const [socket, end] = native.sockets.socketPair();
    const texts = Array.from({ length: 100 }, (_, number) => `text ${number}`);
    const files = texts.map(memfdWith);
    const { reply } = await client.exchange(
      'PreserveDescriptors',
      {
        session: 's',
        wishes: [
          ...texts.map((label, fileDescriptor) => ({ fileDescriptor, label, token: null })),
          { fileDescriptor: 100, label: 'twice', token: null },
          { fileDescriptor: 101, label: 'asked for', token: '0x500' },
          { fileDescriptor: 102, label: 'asked for too', token: '0x500' },
          { fileDescriptor: 103, label: 'twice again', token: null },
          { fileDescriptor: 104, label: 'socket', token: null },
          { fileDescriptor: 105, label: 'a\nb', token: null },
        ],
      },
      [...files, twice, other, late, native.descriptors.duplicate(twice), socket, end],
    );
    for (const each of [...files, socket, end]) each.close();
    const errors = reply.outcomes.map(({ error }) => error?.replace('io.luoconsole.Agent.', '') ?? null);
    expect(errors).toEqual([
      ...texts.map(() => null),
      ...[null, null, 'TokenInUse', 'AlreadyPreserved', 'NotPreservable', 'InvalidValue'],
    ]);
    expect(reply.outcomes[103]?.errorParameters).toMatchObject({
      session: 's',
      token: reply.outcomes[100]?.descriptor?.token,
    });

    const { session } = await client.call('GetSession', { name: 's' });
    expect(session.descriptors).toHaveLength(texts.length + 2);
    for (const [index, label] of texts.entries())
      expect(await contentOf(client, 's', session.descriptors[index]?.token ?? '')).toBe(label);
    const { entries } = await client.call('QueryJournal', { name: 'session.preserve', limit: 500 });
    const results = entries.filter(({ kind }) => kind === 'result');
    const acts = entries.filter(({ kind }) => kind === 'act');
    expect(results.map(({ answers }) => answers).sort()).toEqual(acts.map(({ sequence }) => sequence).sort());
    // Those that depend on what became of another one have an act for themselves.
    expect(acts.length).toBeLessThan(5);
    const listed = (name: string) =>
      results.flatMap(({ parameters }) => (parameters[name] as { token: string; label: string }[]) ?? []);
    expect(listed('descriptors').map(({ token }) => token)).toEqual(
      session.descriptors.map(({ token }) => token),
    );
    expect(listed('descriptors').map(({ label }) => label)).toEqual([...texts, 'twice', 'asked for']);
    expect(listed('refused')).toMatchObject([
      { label: 'socket', problem: expect.stringContaining('NotPreservable') },
    ]);
    expect(results.find(({ ok }) => ok === false)).toMatchObject({
      errno: 'ENOENT',
      message: expect.stringMatching(/^102 descriptors preserved, 1 refused; the first one: NotPreservable/),
    });
    expect(await client.call('VerifyJournal', {})).toMatchObject({ intact: true });
    expect(await client.call('CloseSession', { name: 's' })).toEqual({});
    expect([...host.manager.kept.keys()]).toEqual([]);
  });

  it('refuses tokens in use, reserved or malformed', async () => {
    await preserveText(client, 's', 'one', '0x1');
    await expectRefused(preserveText(client, 's', 'two', '0x1'), 'TokenInUse', {
      session: 's',
      token: '0x1',
    });
    for (const token of ['0xffffffffffff0000', '1', '0x', '-0x1', '0x11112222333344445']) {
      await expectRefused(preserveText(client, 's', 'x', token), 'InvalidValue', {
        parameter: 'token',
        value: token,
      });
    }
  });

  it('says where a file is preserved already, and why a kind cannot be', async () => {
    using file = memfdWith('once');
    await preserve(client, 's', file, 'label', '0x7');
    await client.call('CreateSession', { name: 'other' });
    await expectRefused(preserve(client, 'other', file, 'again'), 'AlreadyPreserved', {
      session: 's',
      token: '0x7',
    });
    const [one, other] = native.sockets.socketPair();
    await expectRefused(preserve(client, 's', one, 'socket'), 'NotPreservable', {
      kind: 'other',
      errno: 'ENOENT',
    });
    one.close();
    other.close();
    const { session } = await client.call('GetSession', { name: 's' });
    expect(session.descriptors).toHaveLength(1);
  });

  it('takes a descriptor of a running process, and says which of the two does not exist', async () => {
    using file = memfdWith('mine');
    const pid = process.pid;
    const { descriptor } = await client.call('PreserveFromProcess', { session: 's', pid, fd: file.fd });
    expect(descriptor.source).toContain(`descriptor ${file.fd}`);
    expect(await contentOf(client, 's', descriptor.token)).toBe('mine');
    const no = { session: 's', fd: 0, pid: 2 ** 22 + 1 };
    await expectRefused(client.call('PreserveFromProcess', no), 'NoSuchProcess', { pid: no.pid });
    const gone = { session: 's', pid, fd: 99_999 };
    await expectRefused(client.call('PreserveFromProcess', gone), 'NoSuchDescriptor', { pid, fd: gone.fd });
  });

  it('copies a file, and follows no link to one', async () => {
    const path = join(host.directory, 'file');
    writeFileSync(path, 'on disk');
    const { descriptor } = await client.call('PreserveFile', { session: 's', path });
    expect(descriptor).toMatchObject({ label: path, source: `copy of ${path}`, size: 7, kind: 'memfd' });
    expect(await contentOf(client, 's', descriptor.token)).toBe('on disk');
    const link = join(host.directory, 'link');
    symlinkSync(path, link);
    mkdirSync(join(host.directory, 'folder'));
    writeFileSync(join(host.directory, 'empty'), '');
    for (const [unusable, errno] of [
      [link, 'ELOOP'],
      ['file', 'EINVAL'],
      [join(host.directory, 'nothing'), 'ENOENT'],
      [join(host.directory, 'folder'), 'EINVAL'],
      [join(host.directory, 'empty'), 'EINVAL'],
    ]) {
      const call = client.call('PreserveFile', { session: 's', path: unusable ?? '' });
      await expectRefused(call, 'FileUnusable', { path: unusable, errno });
    }
  });
});

describe('one descriptor', () => {
  it('is taken out by building the session anew, and the others stay', async () => {
    for (const text of ['a', 'b', 'c']) await preserveText(client, 's', text);
    const { rebuilt, session } = await client.call('RemoveDescriptor', { session: 's', token: '0x1' });
    expect(rebuilt).toBe(true);
    expect(session.descriptors.map(({ label }) => label)).toEqual(['a', 'c']);
    expect(await contentOf(client, 's', '0x2')).toBe('c');
    await expectRefused(client.call('RemoveDescriptor', { session: 's', token: '0x1' }), 'TokenNotFound', {
      token: '0x1',
    });
    // The file that was taken out can be preserved again.
    await preserveText(client, 's', 'd', '0x1');
  });

  it('has a digest once one was taken, with its time', async () => {
    await preserveText(client, 's', 'abc');
    const { descriptor } = await client.call('TakeDigest', { session: 's', token: '0x0' });
    expect(descriptor?.digest).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(descriptor?.digestAtUs).toBeGreaterThan(0);
    host.kill();
    client = await host.start();
    const { session } = await client.call('GetSession', { name: 's' });
    expect(session.descriptors[0]?.digest).toBe(descriptor?.digest);
  });
});

describe('the session descriptor', () => {
  it('can be fetched by a program that issues its own requests', async () => {
    const { reply, descriptors } = await client.exchange('FetchSession', { name: 's' });
    expect(reply.session.name).toBe('s');
    const [session] = descriptors;
    if (!session) throw new Error('no descriptor came with the reply');
    expect(host.double.sessionName(session)).toBe('s');
    session.close();
  });
});

describe('the device', () => {
  it('that somebody else has open is named with its holder once patience ends', async () => {
    using _held = host.double.openDevice(host.paths.device);
    const holder = join(host.paths.proc, '4242');
    mkdirSync(join(holder, 'fd'), { recursive: true });
    writeFileSync(join(holder, 'comm'), 'systemd\n');
    symlinkSync(host.paths.device, join(holder, 'fd/9'));
    await expectRefused(client.call('CreateSession', { name: 't' }), 'DeviceBusy', {
      pid: 4242,
      command: 'systemd',
    });
  });
});

describe('a plan', () => {
  const kernel = (): string => `${host.paths.boot}/vmlinuz-7.3.4-b`;

  it('changes nothing, and names its steps in the order of the phases', async () => {
    await preserveText(client, 's', 'text');
    const { plan } = await client.call('MakePlan', { kernel: kernel() });
    expect(plan.runnable).toBe(true);
    expect(plan.steps.map(({ phase }) => phase)).toEqual([
      'preserving',
      'prepared',
      'prepared',
      'prepared',
      'kexec',
      'booting',
      'retrieving',
      'finishing',
    ]);
    expect(plan.steps.filter(({ reversible }) => !reversible).map(({ id }) => id)[0]).toBe('kexec');
    expect(host.loaded).toBeNull();
    expect(plan.commandLine).toBe('root=/dev/vda liveupdate=on');
  });

  it('is stale once what it was made from has changed', async () => {
    const stale = async (change: () => Promise<unknown>, changed: RegExp): Promise<void> => {
      const { plan } = await client.call('MakePlan', { kernel: kernel() });
      await change();
      const run = client.stream('RunUpdate', { plan: plan.id }).next();
      await expectRefused(run, 'PlanStale', { plan: plan.id, changed: expect.stringMatching(changed) });
    };
    await stale(() => preserveText(client, 's', 'more'), /sessions/);
    await stale(() => client.call('CreateSession', { name: 'new' }), /sessions/);
    await stale(async () => host.install('7.3.4-b', ['kho-v4', 'luo-v5', 'memfd-v2']), /replaced/);
    await expectRefused(client.stream('RunUpdate', { plan: 'none' }).next(), 'PlanNotFound', {
      plan: 'none',
    });
  });

  it.each([
    ['kernel', 'incompatible', ['kho-v4', 'luo-v9', 'memfd-v2'], undefined],
    ['kernel', 'no live update: it has no handover version for kho, luo, memfd', [], undefined],
    ['command line', 'liveupdate=on', ['kho-v4', 'luo-v5', 'memfd-v2'], 'root=/dev/vda'],
  ])('that fails the check of the %s (%s) does not run', async (name, detail, versions, commandLine) => {
    const path = host.install('other', versions);
    const { plan } = await client.call('MakePlan', { kernel: path, ...(commandLine ? { commandLine } : {}) });
    expect(plan.runnable).toBe(false);
    const failed = plan.checks.filter(({ verdict }) => verdict === 'fail');
    expect(failed).toMatchObject([{ name, detail: expect.stringContaining(detail) }]);
    const run = client.stream('RunUpdate', { plan: plan.id }).next();
    await expectRefused(run, 'PlanNotRunnable', { reason: expect.stringContaining(name) });
  });

  it('that runs keeps everybody else from changing anything', async () => {
    await runToKexec(host, client, { graceSeconds: 600, wait: 'announced' });
    const wrong = { phase: 'prepared', needed: 'normal' };
    await expectRefused(client.call('CreateSession', { name: 't' }), 'WrongPhase', wrong);
    await expectRefused(client.call('CloseSession', { name: 's' }), 'WrongPhase', wrong);
    await expectRefused(client.call('UnloadKernel', {}), 'WrongPhase', wrong);
    const { status } = await client.call('GetStatus', {});
    expect(status.progress).toMatchObject({ phase: 'prepared', graceEndsAtUs: expect.any(Number) });
    await client.call('AbortUpdate', {});
  });
});

describe('the journal over the wire', () => {
  it('names the peer of every act and exports what it holds', async () => {
    await preserveText(client, 's', 'text');
    const { entries } = await client.call('QueryJournal', { name: 'session.preserve', ascending: true });
    expect(entries).toMatchObject([
      { kind: 'act', peer: { uid: process.getuid?.(), pid: process.pid, role: 'administrator' } },
      { kind: 'result', ok: true, answers: entries[0]?.sequence },
    ]);
    let lines = '';
    for await (const piece of client.stream('ExportJournal', {})) lines += piece.lines;
    const exported = lines
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { sequence: number });
    expect(exported.map(({ sequence }) => sequence)).toEqual(exported.map((_, index) => index + 1));
  });

  it('stops acts when it cannot be written, and the agent goes on answering', async () => {
    host.kill();
    host.forgetDisk();
    mkdirSync(join(host.directory, 'state'));
    writeFileSync(join(host.directory, 'state/journal.db'), 'damaged'.repeat(1000));
    client = await host.start();
    await expectRefused(client.call('CreateSession', { name: 't' }), 'KernelCallFailed', { call: 'journal' });
    const { sessions } = await client.call('ListSessions', {});
    expect(sessions.map(({ name }) => name)).toEqual(['s']);
  });
});

describe('the status', () => {
  it('comes again on every change, for as long as somebody listens', async () => {
    const stream = client.stream('GetStatus', {});
    const first = await stream.next();
    expect(first.value?.status.sessions).toMatchObject([{ name: 's' }]);
    await client.call('CreateSession', { name: 't' });
    let sessions: string[] = [];
    while (sessions.length < 2) {
      const { value } = await stream.next();
      sessions = value?.status.sessions.map(({ name }) => name) ?? [];
    }
    expect(sessions).toEqual(['s', 't']);
    await stream.return();
  });
});
