// SPDX-License-Identifier: Apache-2.0
/** What callers of each role can do to the agent and to each other: read what is not theirs, or wear it down. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import type { Entry } from '../src/interface/agent.generated.ts';
import { MadeUpHost } from './made-up-host.ts';
import { memfdWith, preserve, preserveText } from './scenario.ts';

let host: MadeUpHost;
let root: AgentClient;

beforeEach(async () => {
  host = new MadeUpHost();
  root = await host.start();
});

afterEach(() => {
  vi.restoreAllMocks();
  host.dispose();
});

/** A connection whose other end the kernel would call this user, in this group. */
async function connectAs(uid: number, gid: number, pid = process.pid): Promise<AgentClient> {
  const spy = vi.spyOn(native.sockets, 'peerCredentials').mockReturnValue({ uid, gid, pid, groups: [] });
  const client = await host.connect();
  // Connecting is over before the agent has accepted; an answer, be it a refusal, shows that it has.
  await client.call('GetStatus', {}).catch(() => undefined);
  spy.mockRestore();
  return client;
}

const viewers = 4001;
const operators = 4002;
const refused = (name: string, parameters: object = {}) => ({
  error: `io.luoconsole.Agent.${name}`,
  parameters,
});
const kernel = (): string => join(host.paths.boot, 'vmlinuz-7.3.4-b');

describe('somebody without a role', () => {
  it('is told what is missing, for every method', async () => {
    const client = await connectAs(900, 900);
    await expect(client.call('GetStatus', {})).rejects.toMatchObject(
      refused('PermissionDenied', { method: 'GetStatus', needs: 'viewer', uid: 900 }),
    );
  });
});

describe('a viewer', () => {
  it('plans with installed kernels only: the agent reads no other file for who may not', async () => {
    const client = await connectAs(900, viewers);
    expect((await client.call('MakePlan', { kernel: kernel() })).plan.runnable).toBe(true);
    const secret = join(host.directory, 'secret');
    writeFileSync(secret, 'size and dates of this are not for everybody');
    mkdirSync(join(host.paths.boot, 'vmlinuz-d'));
    const elsewhere = ['/etc/shadow', secret, `${host.paths.boot}/../secret`, `${kernel()}/../x`];
    for (const path of [...elsewhere, `${host.paths.boot}/vmlinuz-d/x`]) {
      const call = client.call('MakePlan', { kernel: path });
      await expect(call).rejects.toMatchObject(refused('InvalidValue', { parameter: 'kernel' }));
    }
    const initrd = client.call('MakePlan', { kernel: kernel(), initrd: secret });
    await expect(initrd).rejects.toMatchObject(refused('InvalidValue', { parameter: 'initrd' }));
    const operator = await connectAs(901, operators);
    expect((await operator.call('MakePlan', { kernel: secret })).plan.kernel.verdict).toBe('unreadable');
  });

  it('cannot make the agent forget what others planned', async () => {
    const { plan } = await root.call('MakePlan', { kernel: kernel() });
    const client = await connectAs(900, viewers);
    for (let round = 0; round < 40; round += 1) await client.call('MakePlan', { kernel: kernel() });
    host.install('7.3.4-b', ['luo-v1']);
    const run = root.stream('RunUpdate', { plan: plan.id }).next();
    await expect(run).rejects.toMatchObject(refused('PlanStale', { plan: plan.id }));
  });

  it('may not act', async () => {
    const client = await connectAs(900, viewers);
    const calls = [
      client.call('CreateSession', { name: 's' }),
      client.call('LoadKernel', { path: kernel() }),
      client.call('AbortUpdate', {}),
      client.call('FetchSession', { name: 's' }),
    ];
    for (const call of calls) {
      await expect(call).rejects.toMatchObject(refused('PermissionDenied', { needs: 'operator' }));
    }
  });

  it('is asked for a filter of a sensible length', async () => {
    const client = await connectAs(900, viewers);
    for (const key of ['text', 'name', 'session', 'update']) {
      const call = client.call('QueryJournal', { [key]: '%'.repeat(60_000) });
      await expect(call).rejects.toMatchObject(refused('InvalidValue', { parameter: key }));
    }
    expect((await client.call('QueryJournal', { text: '%'.repeat(256) })).entries).toEqual([]);
  });
});

describe('viewers who take every place', () => {
  it('keep another viewer out, and no operator who wants to abort', async () => {
    for (const uid of [900, 901, 902, 903])
      for (let number = 0; number < 64; number += 1) await connectAs(uid, viewers);
    await expect(connectAs(904, viewers)).rejects.toThrow();
    const operator = await connectAs(905, operators);
    expect((await operator.call('GetStatus', {})).status.you).toMatchObject({ uid: 905, role: 'operator' });
    await expect(operator.call('AbortUpdate', {})).rejects.toMatchObject(
      refused('NothingToAbort', { phase: 'normal' }),
    );
  });
});

describe('who calls', () => {
  it('is found out when the connection begins: a number that another process has later changes nothing', async () => {
    const comm = join(host.paths.proc, '4711');
    mkdirSync(comm);
    writeFileSync(join(comm, 'comm'), 'vmm\n');
    const client = await connectAs(901, operators, 4711);
    writeFileSync(join(comm, 'comm'), 'innocent\n');
    await client.call('CreateSession', { name: 's' });
    const { entries } = await root.call('QueryJournal', { name: 'session.create' });
    expect(entries[0]?.peer).toMatchObject({ uid: 901, pid: 4711, command: 'vmm', role: 'operator' });
  });

  it('cannot write over the journal of others by what it calls itself', async () => {
    const comm = join(host.paths.proc, '4712');
    mkdirSync(comm);
    writeFileSync(join(comm, 'comm'), 'a\u001b[2K\u202eb\n\n');
    const client = await connectAs(901, operators, 4712);
    await client.call('CreateSession', { name: 's' });
    const { session } = await root.call('GetSession', { name: 's' });
    expect(session.createdBy).toBe('901 (a\ufffd[2K\ufffdb\ufffd)');
  });
});

describe('names', () => {
  it('that turn the writing round or cannot be seen are refused', async () => {
    for (const name of ['a\u202eb', 'a\u200bb', 'a\u2028b', '\ufeffa', 'a\u009bb']) {
      const call = root.call('CreateSession', { name });
      await expect(call).rejects.toMatchObject(refused('InvalidValue', { parameter: 'name' }));
    }
  });

  it('of memfds can be anything, and are shown in a form that does no harm', async () => {
    await root.call('CreateSession', { name: 's' });
    using file = memfdWith('\u001b[2Jboo\n');
    await root.exchange('PreserveDescriptor', { session: 's', fileDescriptor: 0 }, [file]);
    const { session } = await root.call('GetSession', { name: 's' });
    expect(session.descriptors[0]?.label).toContain('\ufffd[2Jboo');
    using other = memfdWith('other');
    const labelled = preserve(root, 's', other, 'two\nlines');
    await expect(labelled).rejects.toMatchObject(refused('InvalidValue', { parameter: 'label' }));
  });
});

describe('files named by a caller', () => {
  it('are never opened when they are devices or FIFOs, nor read when they have no size', async () => {
    await root.call('CreateSession', { name: 's' });
    const fifo = join(host.directory, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const loop = join(host.directory, 'loop');
    symlinkSync(loop, loop);
    for (const path of [fifo, '/dev/zero', '/proc/self/environ', '/proc/self/fd', loop]) {
      const call = root.call('PreserveFile', { session: 's', path });
      await expect(call).rejects.toMatchObject(refused('FileUnusable', { path }));
      if (path.includes('proc')) continue;
      const load = root.call('LoadKernel', { path });
      await expect(load).rejects.toMatchObject(refused('FileUnusable', { path }));
    }
    const sparse = join(host.directory, 'sparse');
    execFileSync('truncate', ['--size=3T', sparse]);
    const huge = root.call('PreserveFile', { session: 's', path: sparse });
    await expect(huge).rejects.toMatchObject(
      refused('FileUnusable', { errno: 'ENOMEM', reason: expect.stringContaining('3145728 MiB') }),
    );
    expect((await root.call('GetSession', { name: 's' })).session.descriptors).toEqual([]);
  });

  it('and command lines of more than one line are refused before anything is loaded', async () => {
    for (const commandLine of ['a\nb', 'a\u001bb', 'x'.repeat(2048), '\ud800']) {
      const parameters = { parameter: 'commandLine' };
      const load = root.call('LoadKernel', { path: kernel(), commandLine });
      await expect(load).rejects.toMatchObject(refused('InvalidValue', parameters));
      const plan = root.call('MakePlan', { kernel: kernel(), commandLine });
      await expect(plan).rejects.toMatchObject(refused('InvalidValue', parameters));
    }
    expect(host.loaded).toBeNull();
  });
});

describe('a long journal', () => {
  it('is searched in stretches, in both directions and page by page', async () => {
    await root.call('CreateSession', { name: 's' });
    for (let round = 0; round < 30; round += 1) await preserveText(root, 's', `text ${round}`);
    const find = async (ascending: boolean): Promise<number[]> => {
      const found: number[] = [];
      let edge: number | null = null;
      for (;;) {
        const from: object = ascending ? { after: edge } : { before: edge };
        const page: { entries: Entry[]; more: boolean } = await root.call('QueryJournal', {
          ...{ ...from, limit: 7, ascending, name: 'session.preserve', text: 'TEXT 1' },
        });
        found.push(...page.entries.map(({ sequence }) => sequence));
        edge = page.entries.at(-1)?.sequence ?? null;
        if (!page.more) return found;
      }
    };
    const upwards = await find(true);
    expect(upwards).toHaveLength(22);
    expect(await find(false)).toEqual(upwards.toReversed());
  });
});
