// SPDX-License-Identifier: Apache-2.0
/** `luocon sessions`, `preserve` and `fetch`: descriptors by socket, from programs and files. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '@luo-console/native';
import { describe, expect, it, onTestFinished } from 'vitest';
import { sampleSession, serveAgent } from '../client/fake-agent.fixture.ts';
import type { Descriptor } from '../interface/agent.generated.ts';
import { VarlinkError } from '../varlink/index.ts';
import { luocon } from './luocon.fixture.ts';

const [sampleDescriptor] = sampleSession.descriptors as [Descriptor];

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'luocon-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

describe('sessions', () => {
  it('lists, shows and changes them', async () => {
    const done: string[] = [];
    const act =
      (what: string) =>
      async ({ name }: { name: string }) => {
        done.push(`${what} ${name}`);
        return { session: { ...sampleSession, name } };
      };
    const { address } = serveAgent({
      ListSessions: async () => ({ sessions: [sampleSession] }),
      GetSession: act('get'),
      CreateSession: act('create'),
      FinishSession: act('finish'),
      RetrieveSession: act('retrieve'),
      CloseSession: async ({ name }) => {
        done.push(`close ${name}`);
        return {};
      },
      RemoveDescriptor: async ({ session, token }) => {
        done.push(`remove ${session} ${token}`);
        return { rebuilt: true, session: sampleSession };
      },
    });
    const run = (...args: string[]) => luocon(['--host', address, 'sessions', ...args]);
    expect((await run()).stdout).toMatch(/^guests {3}outgoing {3}1 {12}256 MiB {2}0 /m);
    expect((await run('guests')).stdout).toMatch(
      /^0x1 {4}memfd {2}256 MiB {2}ram of one {2}pid 42 fd 7 {2}unchecked$/m,
    );
    expect((await run('show', 'create')).stdout).toContain('create');
    expect((await run('create', 'a')).stdout).toBe('Session "a" is created.\n');
    expect((await run('retrieve', 'a')).stdout).toContain('Session "a" is retrieved.\n');
    expect((await run('finish', 'a')).stdout).toContain('Session "a" is finished.\n');
    expect((await run('close', 'a')).stdout).toBe('Session "a" is closed.\n');
    expect((await run('remove', 'a', '16')).stdout).toContain(
      '0x10 is no longer preserved in session "a"; this kernel cannot',
    );
    expect((await luocon(['--host', address, '--json', 'sessions'])).json).toEqual([
      { sessions: [sampleSession] },
    ]);
    expect(done).toEqual([
      ...['get guests', 'get create', 'create a', 'retrieve a', 'finish a', 'close a', 'remove a 0x10'],
    ]);
  });

  it('says what was done and is not recorded, and ends as done', async () => {
    const reason = 'database or disk is full';
    const { address } = serveAgent({
      CloseSession: async () => {
        throw new VarlinkError('io.luoconsole.Agent.DoneNotRecorded', { method: 'CloseSession', reason });
      },
    });
    const { status, stderr, stdout } = await luocon(['--host', address, 'sessions', 'close', 'a']);
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' });
    expect(stderr).toBe(
      'luocon: CloseSession: done, and not recorded in the journal yet: database or disk is full; the kernel log has it\n',
    );
  });

  it.each([
    ['match', 0],
    ['differs', 4],
  ] as const)('digest: contents that are "%s" end with status %i', async (verdict, expected) => {
    const { address } = serveAgent({
      TakeDigest: async (_, call) => {
        await call.reply({ done: 5, total: 10, descriptor: null });
        return { done: 10, total: 10, descriptor: { ...sampleDescriptor, digest: 'ab'.repeat(32), verdict } };
      },
    });
    const { status, stdout } = await luocon(['--host', address, 'sessions', 'digest', 'guests', '1']);
    expect({ status, stdout }).toEqual({ status: expected, stdout: `${'ab'.repeat(32)}  ${verdict}\n` });
  });
});

describe('preserve and fetch', () => {
  it('asks for a process’s descriptor, or a file, or sends its own', async () => {
    const asked: unknown[] = [];
    const { address } = serveAgent({
      PreserveFromProcess: async (parameters) => {
        asked.push(parameters);
        return { descriptor: sampleDescriptor };
      },
      PreserveFile: async (parameters) => {
        asked.push(parameters);
        return { descriptor: sampleDescriptor };
      },
      PreserveDescriptor: async ({ fileDescriptor, label }, call) => {
        using file = call.takeDescriptor(fileDescriptor);
        asked.push([label, native.memory.read(file, 0n, 10).toString()]);
        return { descriptor: sampleDescriptor };
      },
    });
    using own = native.memory.memfdCreate('own');
    native.memory.truncate(own, 4n);
    native.memory.write(own, 0n, Buffer.from('mine'));
    const run = (...args: string[]) => luocon(['--host', address, 'preserve', 'guests', ...args]);
    const { stdout } = await run('--pid', '42', '--fd', '7', '--token', '0x1');
    expect(stdout).toBe('Preserved in session "guests" under 0x1: memfd, 256 MiB.\n');
    await run('--file', '/etc/hostname', '--label', 'name');
    await run('--stdin-fd', String(own.fd), '--label', 'x');
    expect(asked).toEqual([
      { session: 'guests', pid: 42, fd: 7, token: '0x1', label: null },
      { session: 'guests', path: '/etc/hostname', token: null, label: 'name' },
      ['x', 'mine'],
    ]);
  });

  it.each([
    [['preserve', 'a'], 'expected one of --pid with --fd, --file, or --stdin-fd'],
    [['preserve', 'a', '--pid', '1'], 'expected --pid and --fd together'],
    [['preserve', 'a', '--file', '/x', '--pid', '1', '--fd', '2'], 'expected one of'],
    [['preserve', 'a', '--stdin-fd', '99999'], '--stdin-fd 99999: luocon has no such descriptor'],
    [['preserve', 'a', '--stdin-fd', '0', '--host', 'ssh://nowhere'], 'ssh cannot pass descriptors'],
    [
      ['preserve', 'a', '--file', 'x', '--host', 'ssh://nowhere'],
      'x: expected an absolute path on ssh://nowhere',
    ],
    [['fetch', 'a', '1', '--host', 'ssh://nowhere'], 'ssh cannot pass descriptors'],
  ])('%j is a wrong command line', async (args, problem) => {
    const { address } = serveAgent({});
    const { status, stderr, stdout } = await luocon(['--host', address, ...args]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(problem);
  });

  it('copies what was preserved to a new file, and to nothing that exists', async () => {
    const contents = Buffer.alloc(3_000_000, 'abcdefg');
    const { address } = serveAgent({
      FetchDescriptor: async (_, call) => {
        using file = native.memory.memfdCreate('fetched');
        native.memory.truncate(file, BigInt(contents.length));
        native.memory.write(file, 0n, contents);
        return { fileDescriptor: call.attach(file), descriptor: sampleDescriptor };
      },
    });
    const path = join(temporaryFolder(), 'copy');
    const first = await luocon(['--host', address, 'fetch', 'guests', '1', '-o', path]);
    expect(first.stdout).toBe(`${path}: 2.9 MiB of 0x1 in session "guests".\n`);
    expect(readFileSync(path).equals(contents)).toBe(true);
    writeFileSync(path, 'precious');
    const second = await luocon(['--host', address, 'fetch', 'guests', '1', '-o', path]);
    expect(second).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining('EEXIST') });
    expect(readFileSync(path, 'utf8')).toBe('precious');
    const piped = await luocon(['--host', address, 'fetch', 'guests', '1']);
    expect(piped.stdout).toBe(contents.toString());
  });
});
