// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '@luo-console/native';
import { describe, expect, it, onTestFinished } from 'vitest';
import { sampleSession, sampleStatus, sampleUpdate, serveAgent } from '../client/fake-agent.fixture.ts';
import { AgentInterface, type Descriptor, type Entry } from '../interface/agent.generated.ts';
import { interfaceError } from '../varlink/index.ts';
import { luoctl } from './luoctl.fixture.ts';

const [sampleDescriptor] = sampleSession.descriptors as [Descriptor];

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'luoctl-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

describe('status', () => {
  it('says where the host stands', async () => {
    const { address } = serveAgent({ GetStatus: async () => ({ status: sampleStatus }) });
    const { status, stdout, stderr } = await luoctl(['status', '--host', address]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('lab-one: 7.3.4-a, up 1 h 0 min, phase normal\n');
    expect(stdout).toContain('available, number 1, came from 7.3.4-b');
    expect(stdout).toMatch(/^SESSION {2}DIRECTION {2}DESCRIPTORS {2}SIZE$/m);
    expect(stdout).toMatch(/^guests {3}outgoing {3}1 {12}256 MiB$/m);
  });

  it('says why there is no live update', async () => {
    const liveUpdate = {
      ...sampleStatus.liveUpdate,
      availability: 'not_enabled',
      explanation: 'no liveupdate=on',
    } as const;
    const { address } = serveAgent({ GetStatus: async () => ({ status: { ...sampleStatus, liveUpdate } }) });
    const { stdout } = await luoctl(['--host', address, 'status']);
    expect(stdout).toContain('none (not enabled): no liveupdate=on');
  });

  it('follows, until interrupted', async () => {
    const interrupt = new AbortController();
    const { address } = serveAgent({
      GetStatus: async (_, call) => {
        await call.reply({ status: sampleStatus });
        await call.reply({ status: { ...sampleStatus, phase: 'preserving' } });
        await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
        return { status: sampleStatus };
      },
    });
    const onOutput = (text: string) => (text.includes('preserving') ? interrupt.abort() : undefined);
    const { stdout } = await luoctl(['status', '-f', '--host', address, '--json'], {
      signal: interrupt.signal,
      onOutput,
    });
    expect(
      stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line).status.phase),
    ).toEqual(['normal', 'preserving']);
  });

  it('shows text that would steer a terminal instead of sending it there', async () => {
    const { address } = serveAgent({
      GetStatus: async () => ({ status: { ...sampleStatus, hostName: 'a\u001b[2Jb' } }),
    });
    const { stdout } = await luoctl(['status', '--host', address]);
    expect(stdout).toContain('a\\x1b[2Jb: 7.3.4-a');
    expect(stdout).not.toContain('\u001b');
  });
});

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
    const run = (...args: string[]) => luoctl(['--host', address, 'sessions', ...args]);
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
    expect((await luoctl(['--host', address, '--json', 'sessions'])).json).toEqual([
      { sessions: [sampleSession] },
    ]);
    expect(done).toEqual([
      ...['get guests', 'get create', 'create a', 'retrieve a', 'finish a', 'close a', 'remove a 0x10'],
    ]);
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
    const { status, stdout } = await luoctl(['--host', address, 'sessions', 'digest', 'guests', '1']);
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
    const run = (...args: string[]) => luoctl(['--host', address, 'preserve', 'guests', ...args]);
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
    [['preserve', 'a', '--pid', '1'], '--pid and --fd belong together'],
    [['preserve', 'a', '--file', '/x', '--pid', '1', '--fd', '2'], 'expected one of'],
    [['preserve', 'a', '--stdin-fd', '99999'], '--stdin-fd 99999: no such descriptor was given to luoctl'],
    [['preserve', 'a', '--stdin-fd', '0', '--host', 'ssh://nowhere'], 'ssh does not carry descriptors'],
    [
      ['preserve', 'a', '--file', 'x', '--host', 'ssh://nowhere'],
      'x: expected an absolute path on ssh://nowhere',
    ],
    [['fetch', 'a', '1', '--host', 'ssh://nowhere'], 'ssh does not carry descriptors'],
  ])('%j is a wrong command line', async (args, problem) => {
    const { address } = serveAgent({});
    const { status, stderr, stdout } = await luoctl(['--host', address, ...args]);
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
    const first = await luoctl(['--host', address, 'fetch', 'guests', '1', '-o', path]);
    expect(first.stdout).toBe(`${path}: 2.9 MiB of 0x1 in session "guests".\n`);
    expect(readFileSync(path).equals(contents)).toBe(true);
    writeFileSync(path, 'precious');
    const second = await luoctl(['--host', address, 'fetch', 'guests', '1', '-o', path]);
    expect(second).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining('EEXIST') });
    expect(readFileSync(path, 'utf8')).toBe('precious');
    const piped = await luoctl(['--host', address, 'fetch', 'guests', '1']);
    expect(piped.stdout).toBe(contents.toString());
  });
});

const entry = (sequence: number, more: Partial<Entry> = {}): Entry => ({
  ...{
    sequence,
    atUs: 1_770_000_000_000_000 + sequence,
    kind: 'result',
    name: 'CreateSession',
    answers: sequence - 1,
  },
  ...{
    bootId: 'b',
    phase: 'normal',
    update: null,
    session: 'guests',
    peer: sampleStatus.you,
    parameters: {},
  },
  ...{ ok: true, errno: null, message: 'created', durationUs: 1500, previousHash: 'p', hash: 'h' },
  ...more,
});

describe('journal and history', () => {
  it('shows the newest entries in the order in which they were written', async () => {
    const asked: unknown[] = [];
    const { address } = serveAgent({
      QueryJournal: async (parameters) => {
        asked.push(parameters);
        return { entries: [entry(9, { ok: false, errno: 'EBUSY' }), entry(8)], more: false };
      },
    });
    const { stdout } = await luoctl([
      '--host',
      address,
      'journal',
      '--failed',
      '--session',
      'guests',
      '-n',
      '2',
    ]);
    const lines = stdout.trim().split('\n');
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(
      / 8 {2}result {2}CreateSession {2}ok {2}session guests {2}created {2}by root \(luoctl, pid 99\) {2}in 1.5 ms$/,
    );
    expect(lines[1]).toContain('FAILED EBUSY');
    expect(asked[1]).toMatchObject({ before: 10, limit: 2, session: 'guests', failedOnly: true });
  });

  it('follows with the filters it was given', async () => {
    const interrupt = new AbortController();
    const { address } = serveAgent({
      QueryJournal: async () => ({ entries: [entry(4, { ok: false })], more: false }),
      FollowJournal: async ({ after }, call) => {
        expect(after).toBe(4);
        await call.reply({ entries: [entry(5), entry(6, { ok: false })] });
        await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
        return { entries: [] };
      },
    });
    const onOutput = (text: string) => (text.includes('"sequence":6') ? interrupt.abort() : undefined);
    const args = ['--host', address, 'journal', '--follow', '--failed', '--json'];
    const { json, status } = await luoctl(args, { signal: interrupt.signal, onOutput });
    expect({ status, sequences: json.map((line) => (line as Entry).sequence) }).toEqual({
      status: 0,
      sequences: [4, 6],
    });
  });

  it('exports all of it or nothing', async () => {
    const { address, stop, start } = serveAgent({
      ExportJournal: async (_, call) => {
        await call.reply({ lines: '{"a":1}\n' });
        return { lines: '{"a":2}\n' };
      },
    });
    const path = join(temporaryFolder(), 'journal.jsonl');
    expect((await luoctl(['--host', address, 'journal', '--export', path])).stdout).toBe(
      `${path}: 2 entries.\n`,
    );
    expect(readFileSync(path, 'utf8')).toBe('{"a":1}\n{"a":2}\n');
    expect((await luoctl(['--host', address, 'journal', '--export', '-'])).stdout).toBe('{"a":1}\n{"a":2}\n');
    await stop();
    start({
      ExportJournal: async (_, call) => {
        await call.reply({ lines: 'half' });
        throw interfaceError(AgentInterface, 'KernelCallFailed', {
          call: 'read',
          errno: 'EIO',
          argument: '',
          message: 'bad',
        });
      },
    });
    const failed = await luoctl(['--host', address, 'journal', '--export', `${path}2`]);
    expect(failed).toMatchObject({ status: 1, stdout: '', stderr: 'luoctl: read: bad (EIO)\n' });
    expect([existsSync(`${path}2`), existsSync(`${path}2.partial`)]).toEqual([false, false]);
  });

  it('verifies, and says with its status if the chain is broken', async () => {
    const { address, stop, start } = serveAgent({
      VerifyJournal: async () => ({ entries: 7, intact: true }),
    });
    const args = ['--host', address, 'journal', '--verify'];
    expect(await luoctl(args)).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('each entry follows from the one before (7 entries)'),
    });
    await stop();
    start({ VerifyJournal: async () => ({ entries: 7, intact: false, firstBad: 3 }) });
    expect(await luoctl(args)).toMatchObject({
      status: 4,
      stdout: expect.stringContaining('NOT intact: entry 3'),
    });
  });

  it('lists updates, and shows one with its timeline and what was lost', async () => {
    const [carried] = sampleUpdate.carried as [(typeof sampleUpdate.carried)[0]];
    const lost = { ...carried, token: '0x2', verdict: 'missing' as const, reason: 'not retrieved' };
    const { address } = serveAgent({
      ListUpdates: async () => ({
        updates: [sampleUpdate, { ...sampleUpdate, id: 'u-0', outcome: 'cold_boot' }],
        more: true,
      }),
      GetUpdate: async () => ({ update: { ...sampleUpdate, carried: [...sampleUpdate.carried, lost] } }),
    });
    const list = (await luoctl(['--host', address, 'history'])).stdout;
    expect(list).toMatch(/^u-1 .* 7\.3\.4-a {2}7\.3\.4-b {2}updated .* 12\.3 s {4}1 {10}0$/m);
    expect(list).toMatch(/^u-0 .*cold boot/m);
    expect(list).toContain('There are more');
    const one = (await luoctl(['--host', address, 'history', 'u-1'])).stdout;
    expect(one).toMatch(/^kexec {7}1\.5 s {2}8\.0 s {3}\| {2}=+ +\|$/m);
    expect(one).toMatch(/^updated, but 1 of 2 descriptors is lost or different: a new boot/);
    expect(one).toContain('2 descriptors, 1 with the same contents, 0 not checked, 1 lost or different');
    expect(one).toMatch(/^missing {2}guests {3}0x2 .*not retrieved$/m);
  });
});

describe('failures', () => {
  it('are one line with what it is about, or one JSON value', async () => {
    const { address } = serveAgent({
      CreateSession: async ({ name }) => {
        const parameters = { method: 'CreateSession', needs: 'operator', uid: 1000, user: 'ada' } as const;
        throw name === 'no'
          ? interfaceError(AgentInterface, 'PermissionDenied', parameters)
          : interfaceError(AgentInterface, 'SessionExists', { name });
      },
    });
    const run = (...args: string[]) => luoctl(['--host', address, ...args]);
    expect(await run('sessions', 'create', 'a')).toMatchObject({
      ...{ status: 1, stdout: '', stderr: 'luoctl: session "a": there is one of that name already\n' },
    });
    expect((await run('sessions', 'create', 'no')).stderr).toBe(
      'luoctl: CreateSession: ada may not do that; to do it, be in group luo-operator\n',
    );
    const json = await run('--json', 'sessions', 'create', 'a');
    expect(JSON.parse(json.stderr)).toMatchObject({ error: 'SessionExists', parameters: { name: 'a' } });
  });

  it.each([
    [['nonsense'], "unknown command 'nonsense'"],
    [['sessions', 'create'], "missing required argument 'name'"],
    [['journal', '-n', '0'], 'Expected a whole number of at least 1.'],
    [['journal', '--follow', '--verify'], 'expected only one of --follow, --export and --verify'],
    [['status', '--host', 'nowhere'], 'expected unix:/PATH or ssh://'],
    [['update', '/boot/x'], 'expected --yes where nobody can be asked'],
  ])('%j: status 2', async (args, problem) => {
    const { status, stderr, stdout } = await luoctl(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(problem);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it('no agent there: status 3', async () => {
    const { status, stderr } = await luoctl(['status', '--host', 'unix:/nonexistent']);
    expect({ status, stderr }).toMatchObject({
      status: 3,
      stderr: expect.stringContaining('there is no such socket'),
    });
  });
});

describe('completion', () => {
  it('for bash knows commands, options and what they take', async () => {
    const { stdout } = await luoctl(['completion', 'bash']);
    const complete = (...words: string[]): string[] => {
      const list = ['luoctl', ...words].map((word) => `'${word}'`).join(' ');
      const script = `${stdout}\nCOMP_WORDS=(${list}); COMP_CWORD=${words.length}; _luoctl; printf '%s\\n' "\${COMPREPLY[@]}"`;
      return execFileSync('bash', ['-c', script], { encoding: 'utf8' }).trim().split('\n');
    };
    expect(complete('se')).toEqual(['sessions']);
    expect(complete('sessions', '')).toEqual([
      'create',
      'retrieve',
      'finish',
      'close',
      'show',
      'remove',
      'digest',
    ]);
    expect(complete('--host', 'unix:/x', 'kernels', '')).toEqual(['load', 'unload']);
    expect(complete('update', '--gr')).toEqual(['--grace']);
    expect(complete('completion', '')).toEqual(['bash', 'zsh']);
    expect(complete('--ssh-config', '/etc/hostn')).toEqual(['/etc/hostname']);
  });

  it('for zsh has a function for each command', async () => {
    const { stdout } = await luoctl(['completion', 'zsh']);
    expect(stdout.startsWith('#compdef luoctl\n')).toBe(true);
    expect(stdout).toContain('_luoctl_sessions_create() {');
    expect(stdout).toContain(
      "'--export[write all of it to a file as JSON Lines; - for standard output]:file:_files'",
    );
  });
});
