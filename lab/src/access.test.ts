// SPDX-License-Identifier: Apache-2.0
/** Keys, ssh_config and quoting, read back by OpenSSH and by a shell. */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createKeys, shellWord, sshOptions, writeSshConfig } from './access.ts';
import { hostFiles } from './settings.ts';

let state: string;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'luo keys-'));
  vi.stubEnv('XDG_STATE_HOME', state);
  await mkdir(hostFiles('lab').directory, { recursive: true });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(state, { recursive: true });
});

test('ssh reads from the written configuration what was meant', async () => {
  const files = hostFiles('lab');
  await createKeys(files, 'lab');
  const settings = { name: 'lab', suite: 'sid', memoryMiB: 2048, kernel: '/k', kernelArguments: [] } as const;
  await writeSshConfig(files, { ...settings, uuid: 'u', sshPort: 34567 });
  const shown = execFileSync('ssh', ['-G', '-F', files.sshConfig, '-l', 'operator', 'luo-lab'], {
    encoding: 'utf8',
  });
  const options = new Map(
    shown.split('\n').map((line) => [line.split(' ')[0], line.slice(line.indexOf(' ') + 1)]),
  );
  expect(options.get('user')).toBe('operator');
  expect(options.get('hostname')).toBe('127.0.0.1');
  expect(options.get('port')).toBe('34567');
  expect(options.get('stricthostkeychecking')).toBe('true');
  expect(options.get('userknownhostsfile')).toBe(files.knownHosts);
  expect(options.get('identityfile')).toBe(files.userKey);
  expect(await readFile(files.knownHosts, 'utf8')).toMatch(/^luo-lab ssh-ed25519 \S+\n$/);
});

test('the credential creates the host key for root alone', async () => {
  const files = hostFiles('lab');
  await createKeys(files, 'lab');
  const lines = (await readFile(files.credential, 'utf8')).trimEnd().split('\n');
  const line = lines.find((candidate) => candidate.includes('/etc/ssh/ssh_host_ed25519_key'));
  const [type, , mode, user, group, , contents = ''] = (line ?? '').split(' ');
  expect([type, mode, user, group]).toEqual(['f~', '0600', 'root', 'root']);
  expect(Buffer.from(contents, 'base64')).toEqual(await readFile(files.hostKey));
  expect((await stat(files.credential)).mode & 0o077).toBe(0);
});

test('connections of different boots and users are not shared', () => {
  const files = hostFiles('lab');
  const path = (boot: string, user: string) =>
    sshOptions(files, boot, user).find((option) => /^ControlPath=/.test(option));
  expect(path('boot-1', 'root')).toBe(path('boot-1', 'root'));
  expect(path('boot-1', 'root')).not.toBe(path('boot-2', 'root'));
  expect(path('boot-1', 'root')).not.toBe(path('boot-1', 'operator'));
});

test.each(['plain', '', 'two words', "it's", '$HOME `id`', 'a\nb', '*', '\\', '-n'])(
  'a shell reads %j back',
  (word) => {
    expect(execFileSync('sh', ['-c', `printf %s ${shellWord(word)}`], { encoding: 'utf8' })).toBe(
      word === '-n' ? '-n' : word,
    );
  },
);
