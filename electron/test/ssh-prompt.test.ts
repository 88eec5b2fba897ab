// SPDX-License-Identifier: Apache-2.0
/** What ssh says when it ends, and for how long it may try. */
import { parseAddress, type SshAddress } from '@luo-console/agent/client';
import { expect, test } from 'vitest';
import { createMachineConsoleCommand } from '../src/connections/connector.ts';
import { connectSeconds, forwardCommand, shellCommand } from '../src/connections/ssh-command.ts';
import { allWords, asksSomething, lastWords } from '../src/connections/ssh-prompt.ts';

test.each([
  'Enter passphrase for key "/home/a/.ssh/id": ',
  "root@lab's password: ",
  'Warning: something\r\nAre you sure you want to continue connecting (yes/no/[fingerprint])? ',
  '\x1b[1mVerification code:\x1b[0m ',
])('%j is a question', (printed) => {
  expect(asksSomething(printed)).toBe(true);
});

test.each([
  '',
  "Warning: Permanently added 'lab' (ED25519) to the list of known hosts.\r\n",
  "root@lab's password: \r\n",
  '\x1b[0m',
  '\x1b]0;title\x07',
])('%j is none', (printed) => {
  expect(asksSomething(printed)).toBe(false);
});

test('the last thing that ssh said is why it ended', () => {
  expect(lastWords('Warning: x\r\nssh: connect to host lab port 22: Connection refused\r\n')).toBe(
    'ssh: connect to host lab port 22: Connection refused',
  );
  expect(lastWords('\r\n \r\n')).toBe('');
});

test('a changed host key is told whole, not by its last line alone', () => {
  const said = allWords(
    [
      '@@@@@@@@@@@@@@@@@@@@',
      '@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @',
      '@@@@@@@@@@@@@@@@@@@@',
      'IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!',
      '',
      'Offending ED25519 key in /home/a/.ssh/known_hosts:7',
      'Host key verification failed.',
    ].join('\r\n'),
  );
  expect(said.split('\n')).toEqual([
    '@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @',
    'IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!',
    'Offending ED25519 key in /home/a/.ssh/known_hosts:7',
    'Host key verification failed.',
  ]);
  expect(allWords('\r\n')).toBe('');
  expect(allWords(Array.from({ length: 50 }, (_, at) => `line ${at}`).join('\n')).split('\n')).toHaveLength(
    20,
  );
});

test('the console is more impatient than ssh would be', () => {
  const address = parseAddress('ssh://root@lab:2222') as SshAddress;
  const { file, args } = forwardCommand({ address, sshConfig: '/c', socket: '/tmp/agent.sock', seconds: 7 });
  expect(file).toBe('ssh');
  // ssh takes the first value of an option.
  const first = (option: string) => args.find((arg) => arg.startsWith(option));
  expect(first('ServerAliveInterval=')).toBe('ServerAliveInterval=2');
  expect(first('ConnectTimeout=')).toBe('ConnectTimeout=7');
  expect(args.at(-1)).toBe('lab');
  expect(args.join(' ')).toContain('-F /c');
  expect(shellCommand(address, null).args).toContain('-t');
});

test('short and long attempts take turns while a host is away', () => {
  expect([0, 1, 2, 3, 4].map(connectSeconds)).toEqual([5, 10, 20, 5, 10]);
  expect(connectSeconds(null)).toBe(30);
});

test('a machine’s serial console is asked of the host’s luocon, there or here', () => {
  const host = { id: 'h', name: 'lab', sshConfig: null, serialSocket: null };
  const remote = createMachineConsoleCommand({ ...host, address: 'ssh://kim@hv-01:2222' }, 4711);
  expect(remote.file).toBe('ssh');
  expect(remote.args).toContain('-t');
  expect(remote.args.slice(-5)).toEqual(['--', 'hv-01', 'luocon', 'console', '4711']);
  expect(createMachineConsoleCommand({ ...host, address: 'unix:/run/agent' }, 4711)).toEqual({
    file: 'luocon',
    args: ['--host', 'unix:/run/agent', 'console', '4711'],
  });
});
