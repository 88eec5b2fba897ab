// SPDX-License-Identifier: Apache-2.0
/** Reaching a host by ssh, with a made-up ssh program. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type Clock, systemClock } from '../src/connections/clock.ts';
import type { OpenedLink } from '../src/connections/link.ts';
import { createSshConnector } from '../src/connections/ssh-connector.ts';
import { Terminals } from '../src/terminals/terminals.ts';
import { FakeAgent } from './fake-agent.ts';
import { temporaryFolder } from './temporary-folder.ts';

const pretendSsh = fileURLToPath(new URL('./pretend-ssh.ts', import.meta.url));

let folder: string;
let runtime: string;
let target: string;
let terminals: Terminals;
let prompts: (string | null)[];

beforeEach(() => {
  folder = temporaryFolder();
  runtime = temporaryFolder();
  vi.stubEnv('XDG_RUNTIME_DIR', runtime);
  target = join(folder, 'agent.sock');
  terminals = new Terminals();
  prompts = [];
});

afterEach(() => {
  terminals.closeAll();
  vi.unstubAllEnvs();
});

function startAgent(): FakeAgent {
  const agent = new FakeAgent(target);
  onTestFinished(() => agent.close());
  return agent;
}

async function open(options: {
  password?: string;
  script?: string;
  signal?: AbortSignal;
  patient?: boolean;
  clock?: Clock;
}): Promise<OpenedLink> {
  const {
    password = '-',
    script,
    signal = new AbortController().signal,
    patient = false,
    clock = systemClock,
  } = options;
  const connector = createSshConnector({
    clock,
    terminals,
    command: (socket) =>
      script === undefined
        ? { file: process.execPath, args: [pretendSsh, socket, target, password] }
        : { file: '/bin/sh', args: ['-c', script] },
  });
  const opened = await connector.open({ signal, patient, onPrompt: (prompt) => prompts.push(prompt) });
  onTestFinished(() => opened.link.close());
  return opened;
}

/** Answers the question that ssh asks, once it is shown. */
async function answer(text: string): Promise<void> {
  await vi.waitFor(() => expect(prompts).toHaveLength(1), 10_000);
  terminals.get(prompts[0] ?? '').write(`${text}\n`);
}

describe('a host behind ssh', () => {
  test('is reached through a private socket, and nothing is left behind', async () => {
    startAgent();
    const { link, status } = await open({});
    expect(status.hostName).toBe('lab');
    expect(readdirSync(runtime)).toEqual([expect.stringMatching(/^luo-/)]);
    expect(await link.call('ListSessions', {})).toEqual({ sessions: [] });
    await link.close();
    expect(await link.closed).toBe('Disconnected');
    expect(readdirSync(runtime)).toEqual([]);
    await expect(link.call('ListSessions', {})).rejects.toThrow('has ended');
    expect(prompts).toEqual([]);
  });

  test('may ask for a password, which is typed into its terminal', async () => {
    startAgent();
    const opening = open({ password: 'secret' });
    await answer('secret');
    await opening;
    expect(prompts).toEqual([expect.any(String), null]);
  });

  test('is not connected with the wrong one, and ssh says why', async () => {
    startAgent();
    const opening = open({ password: 'secret' });
    const refused = expect(opening).rejects.toThrow('root@lab: Permission denied (publickey,password).');
    await answer('wrong');
    await refused;
    expect(prompts.at(-1)).toBeNull();
    expect(readdirSync(runtime)).toEqual([]);
  });

  test('is reported with what ssh said when it cannot be reached', async () => {
    const script = 'echo "ssh: connect to host lab port 22: No route to host"; exit 255';
    await expect(open({ script })).rejects.toThrow('ssh: connect to host lab port 22: No route to host');
    const changed = 'echo "Offending key in known_hosts:7"; echo "Host key verification failed."; exit 255';
    await expect(open({ script: changed })).rejects.toThrow(
      'Offending key in known_hosts:7\nHost key verification failed.',
    );
    await expect(open({ script: 'exit 3' })).rejects.toThrow('ssh ended with exit code 3');
  });

  test('is asked again while its agent is not there yet', async () => {
    const opening = open({ patient: true });
    await vi.waitFor(() => expect(readdirSync(runtime)).toHaveLength(1));
    const [made = ''] = readdirSync(runtime);
    await vi.waitFor(() => expect(readdirSync(join(runtime, made))).toEqual(['agent.sock']), 10_000);
    startAgent();
    expect((await opening).status.hostName).toBe('lab');
  });

  test('is said to have no agent if none answers behind ssh', async () => {
    const impatient: Clock = { ...systemClock, sleep: async () => undefined };
    await expect(open({ clock: impatient })).rejects.toThrow(
      /^ssh is connected, but no agent answers on the host/,
    );
    expect(readdirSync(runtime)).toEqual([]);
  });

  test('is lost when ssh ends', async () => {
    startAgent();
    const { link } = await open({});
    terminals.closeAll();
    expect(await link.closed).toBe('ssh ended');
    await link.close();
    expect(readdirSync(runtime)).toEqual([]);
  });

  test('can be given up while ssh waits', async () => {
    const given = new AbortController();
    const opening = open({ script: 'printf "password: "; exec sleep 1000', signal: given.signal });
    const refused = expect(opening).rejects.toThrow();
    await vi.waitFor(() => expect(prompts).toHaveLength(1), 10_000);
    given.abort();
    await refused;
    expect(readdirSync(runtime)).toEqual([]);
  });
});
