// SPDX-License-Identifier: Apache-2.0
/** `luocon` as a whole: status, failures with their exit status, completion. */
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { sampleStatus, serveAgent } from '../client/fake-agent.fixture.ts';
import { AgentInterface, type Progress } from '../interface/agent.generated.ts';
import { interfaceError } from '../varlink/index.ts';
import { luocon } from './luocon.fixture.ts';

describe('status', () => {
  it('says where the host stands', async () => {
    const { address } = serveAgent({ GetStatus: async () => ({ status: sampleStatus }) });
    const { status, stdout, stderr } = await luocon(['status', '--host', address]);
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
    const { stdout } = await luocon(['--host', address, 'status']);
    expect(stdout).toContain('not available (not enabled): no liveupdate=on');
  });

  it.each([
    [true, 'can be aborted'],
    [false, 'can no longer be aborted'],
  ])('says what the agent says of an abort: %s', async (mayAbort, words) => {
    const progress: Progress = {
      update: 'u',
      phase: 'suspending',
      phaseStartedAtUs: 1,
      startedAtUs: 1,
      step: null,
      message: 'stopping the machines',
      done: null,
      total: null,
      graceEndsAtUs: null,
      mayAbort,
      machines: [],
    };
    const { address } = serveAgent({ GetStatus: async () => ({ status: { ...sampleStatus, progress } }) });
    const { stdout } = await luocon(['--host', address, 'status']);
    expect(stdout).toContain(`u, suspending: stopping the machines, ${words}\n`);
  });

  it('says what a starting agent waits for, and nothing of what it does not know yet', async () => {
    const explanation = 'luod (pid 7) has /dev/liveupdate open';
    const liveUpdate = { ...sampleStatus.liveUpdate, availability: 'device_busy' as const, explanation };
    const { address } = serveAgent({ GetStatus: async () => ({ status: { ...sampleStatus, liveUpdate } }) });
    const { stdout } = await luocon(['--host', address, 'status']);
    expect(stdout).toContain(`not available (device busy): ${explanation}`);
    expect(stdout).not.toMatch(/Handover|Loaded kernel|Last update|session/);
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
    const { stdout } = await luocon(['status', '-f', '--host', address, '--json'], {
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
    const { stdout } = await luocon(['status', '--host', address]);
    expect(stdout).toContain('a\\x1b[2Jb: 7.3.4-a');
    expect(stdout).not.toContain('\u001b');
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
    const run = (...args: string[]) => luocon(['--host', address, ...args]);
    expect(await run('sessions', 'create', 'a')).toMatchObject({
      ...{ status: 1, stdout: '', stderr: 'luocon: session "a" already exists; choose another name\n' },
    });
    expect((await run('sessions', 'create', 'no')).stderr).toBe(
      'luocon: CreateSession: access denied for ada; join group luo-console-operator\n',
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
    [['update', '/boot/x'], 'expected --yes, because there is no terminal to ask'],
  ])('%j: status 2', async (args, problem) => {
    const { status, stderr, stdout } = await luocon(args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain(problem);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it('no agent there: status 3', async () => {
    const { status, stderr } = await luocon(['status', '--host', 'unix:/nonexistent']);
    expect({ status, stderr }).toMatchObject({
      status: 3,
      stderr: expect.stringContaining('the socket does not exist'),
    });
  });
});

describe('completion', () => {
  it('for bash knows commands, options and what they take', async () => {
    const { stdout } = await luocon(['completion', 'bash']);
    const complete = (...words: string[]): string[] => {
      const list = ['luocon', ...words].map((word) => `'${word}'`).join(' ');
      const script = `${stdout}\nCOMP_WORDS=(${list}); COMP_CWORD=${words.length}; _luocon; printf '%s\\n' "\${COMPREPLY[@]}"`;
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
    const { stdout } = await luocon(['completion', 'zsh']);
    expect(stdout.startsWith('#compdef luocon\n')).toBe(true);
    expect(stdout).toContain('_luocon_sessions_create() {');
    expect(stdout).toContain(
      "'--export[write the whole journal to a file as JSON Lines; - is standard output]:file:_files'",
    );
  });
});
