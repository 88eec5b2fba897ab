// SPDX-License-Identifier: Apache-2.0
/** Terminals: scrollback, programs in them, and those of a host. */
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { HostEntry } from '../src/hosts/host-list.ts';
import { programEnvironment } from '../src/terminals/environment.ts';
import { HostTerminals } from '../src/terminals/host-terminals.ts';
import { startProgram } from '../src/terminals/program-source.ts';
import { Scrollback } from '../src/terminals/scrollback.ts';
import type { Terminal } from '../src/terminals/terminal.ts';
import { checkSize, Terminals } from '../src/terminals/terminals.ts';
import { temporaryFolder } from './temporary-folder.ts';

const terminals = new Terminals();
const never = new AbortController().signal;

afterEach(() => terminals.closeAll());

function shell(script: string, columns = 80, rows = 24): Terminal {
  return terminals.open(startProgram({ file: '/bin/sh', args: ['-c', script], columns, rows }));
}

async function watched(terminal: Terminal): Promise<{ text: string; exitCode: number | null }> {
  const replies = await Array.fromAsync(terminal.watch(never));
  return { text: replies.map(({ data }) => data).join(''), exitCode: replies.at(-1)?.exitCode ?? null };
}

describe('scrollback', () => {
  test('gives each reader what it has not had', () => {
    const scrollback = new Scrollback();
    scrollback.append('one ');
    const { text, position } = scrollback.after(0);
    scrollback.append('two ');
    scrollback.append('three');
    expect(text).toBe('one ');
    expect(scrollback.after(position).text).toBe('two three');
    expect(scrollback.after(position + 2)).toEqual({ text: 'o three', position: 13 });
    expect(scrollback.after(scrollback.end).text).toBe('');
  });

  test('drops the oldest beyond its bound', () => {
    const scrollback = new Scrollback(10);
    for (let count = 0; count < 100; count += 1) scrollback.append(`${count % 10}abc`);
    expect(scrollback.after(0)).toEqual({ text: '8abc9abc', position: 400 });
    scrollback.append('0123456789ABCDEF');
    expect(scrollback.after(0)).toEqual({ text: '6789ABCDEF', position: 416 });
  });
});

describe('a program in a terminal', () => {
  test('shows what it prints and how it ends', async () => {
    expect(await watched(shell('printf "a\\nb"; exit 7'))).toEqual({ text: 'a\r\nb', exitCode: 7 });
  });

  test('is replayed from its beginning to whoever comes later', async () => {
    const terminal = shell('printf hello; read answer; printf "<%s>" "$answer"');
    await vi.waitFor(() => expect(terminal.text).toBe('hello'));
    terminal.write('world\n');
    expect(await terminal.whenEnded()).toBe(0);
    expect((await watched(terminal)).text).toBe('helloworld\r\n<world>');
    expect((await watched(terminal)).text).toBe('helloworld\r\n<world>');
  });

  test('has the size it is given and learns of another one', async () => {
    const terminal = shell('trap "stty size; exit" WINCH; stty size; while :; do sleep 0.05; done', 100, 30);
    await vi.waitFor(() => expect(terminal.text).toContain('30 100'));
    terminal.resize(132, 43);
    expect((await watched(terminal)).text).toContain('43 132');
  });

  test('has no exit code if a signal ends it', async () => {
    expect((await watched(shell('kill -KILL $$'))).exitCode).toBeNull();
  });

  test('ends when it is closed', async () => {
    const terminal = shell('exec sleep 1000');
    terminals.close(terminal.id);
    expect(await terminal.whenEnded()).toBeNull();
    expect(() => terminals.get(terminal.id)).toThrow(
      expect.objectContaining({ error: 'io.luoconsole.Console.TerminalNotFound' }),
    );
    terminal.write('too late');
    terminal.resize(10, 10);
  });

  test('keeps a slow watcher from piling up replies', async () => {
    const terminal = shell('i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done');
    const replies = terminal.watch(never);
    const first = await replies.next();
    await terminal.whenEnded();
    const rest = await Array.fromAsync(replies);
    expect(rest).toHaveLength(1);
    const text = `${first.value?.data}${rest[0]?.data}`;
    expect(text.split('\r\n').filter((line) => line.startsWith('line '))).toHaveLength(5000);
  });

  test('stops being watched when the watcher goes', async () => {
    const terminal = shell('exec sleep 1000');
    const gone = new AbortController();
    const replies = Array.fromAsync(terminal.watch(gone.signal));
    gone.abort();
    expect(await replies).toEqual([]);
  });

  test('does not inherit what was set for the console', async () => {
    vi.stubEnv('ELECTRON_RUN_AS_NODE', '1');
    vi.stubEnv('LUO_CONSOLE_HOST', '{}');
    vi.stubEnv('NODE_OPTIONS', '--no-warnings');
    onTestFinished(() => void vi.unstubAllEnvs());
    const { text } = await watched(shell('env'));
    expect(text).toContain('TERM=xterm-256color');
    expect(text).not.toMatch(/ELECTRON|LUO_CONSOLE|NODE_OPTIONS/);
    expect(programEnvironment({ ELECTRON_X: '1', HOME: '/h', LANG: undefined })).toEqual({
      HOME: '/h',
      TERM: 'xterm-256color',
      COLORTERM: 'truecolor',
    });
  });
});

test.each([
  [0, 10],
  [10, 0],
  [10, 100_000],
  [-1, 10],
])('a terminal cannot be %i by %i', (columns, rows) => {
  expect(() => checkSize(columns, rows)).toThrow(
    expect.objectContaining({ error: 'io.luoconsole.Console.InvalidValue' }),
  );
});

describe('the terminals of a host', () => {
  const host: HostEntry = { id: 'h', name: 'lab', address: 'unix:/a', sshConfig: null, serialSocket: null };
  const shellOf = () => ({ file: '/bin/sh', args: ['-c', 'echo shell'] });
  const machineConsoleOf = (_host: HostEntry, pid: number) => ({
    file: '/bin/sh',
    args: ['-c', `echo "console of ${pid}"; exec cat`],
  });
  const size = { machine: null, columns: 80, rows: 24 };
  const shellWish = { ...size, kind: 'shell' as const };
  const serialWish = { ...size, kind: 'serial' as const };
  const open = (serialSocket: string | null) =>
    new HostTerminals({ terminals, shellOf, machineConsoleOf }).open({ ...host, serialSocket }, serialWish);

  async function serialLine(): Promise<{ path: string; clients: Socket[] }> {
    const path = join(temporaryFolder(), 'serial');
    const clients: Socket[] = [];
    const server = createServer((client) => {
      clients.push(client);
      // Whoever ends a terminal does not wait for what was still to come.
      client.on('error', () => undefined);
      client.write('login: ');
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    onTestFinished(() => void server.close());
    return { path, clients };
  }

  test('have shells, each its own', async () => {
    const hostTerminals = new HostTerminals({ terminals, shellOf, machineConsoleOf });
    const first = await hostTerminals.open(host, shellWish);
    expect(await hostTerminals.open(host, shellWish)).not.toBe(first);
    expect((await watched(terminals.get(first))).text).toBe('shell\r\n');
  });

  test('have one serial console, both ways, with what it has shown', async () => {
    const { path, clients } = await serialLine();
    const hostTerminals = new HostTerminals({ terminals, shellOf, machineConsoleOf });
    const id = await hostTerminals.open({ ...host, serialSocket: path }, serialWish);
    const terminal = terminals.get(id);
    await vi.waitFor(() => expect(terminal.text).toBe('login: '));
    clients[0]?.on('data', (data) => clients[0]?.write(`<${data}>`));
    terminal.write('root');
    await vi.waitFor(() => expect(terminal.text).toBe('login: <root>'));
    expect(await hostTerminals.open({ ...host, serialSocket: path }, serialWish)).toBe(id);
    // A character of three bytes, in two pieces.
    const euro = Buffer.from('€');
    clients[0]?.write(euro.subarray(0, 1));
    clients[0]?.end(euro.subarray(1));
    expect(await watched(terminal)).toEqual({ text: 'login: <root>€', exitCode: null });
    expect(await hostTerminals.open({ ...host, serialSocket: path }, serialWish)).not.toBe(id);
    expect(clients).toHaveLength(2);
  });

  test('share the serial console until the last who opened it closes it', async () => {
    const { path, clients } = await serialLine();
    const hostTerminals = new HostTerminals({ terminals, shellOf, machineConsoleOf });
    const lab = { ...host, serialSocket: path };
    // Both before the socket is connected: there must not be a second client.
    const [first, second] = await Promise.all([
      hostTerminals.open(lab, serialWish),
      hostTerminals.open(lab, serialWish),
    ]);
    expect(second).toBe(first);
    await vi.waitFor(() => expect(terminals.get(first).text).toBe('login: '));
    expect(clients).toHaveLength(1);
    const gone = new AbortController();
    const watching = Array.fromAsync(terminals.get(first).watch(gone.signal));
    hostTerminals.close(first);
    clients[0]?.write('root');
    await vi.waitFor(() => expect(terminals.get(first).text).toBe('login: root'));
    gone.abort();
    expect((await watching).map(({ data }) => data).join('')).toBe('login: root');
    hostTerminals.close(first);
    expect(() => terminals.get(first)).toThrow(
      expect.objectContaining({ error: 'io.luoconsole.Console.TerminalNotFound' }),
    );
    expect(await hostTerminals.open(lab, serialWish)).not.toBe(first);
    expect(clients).toHaveLength(2);
  });

  test('end a shell when it is closed, and what has ended is closed once for all', async () => {
    const { path, clients } = await serialLine();
    const hostTerminals = new HostTerminals({
      terminals,
      shellOf: () => ({ file: '/bin/cat', args: [] }),
      machineConsoleOf,
    });
    const shell = await hostTerminals.open(host, shellWish);
    hostTerminals.close(shell);
    expect(() => terminals.get(shell)).toThrow();
    const lab = { ...host, serialSocket: path };
    const serial = await hostTerminals.open(lab, serialWish);
    await hostTerminals.open(lab, serialWish);
    await vi.waitFor(() => expect(clients).toHaveLength(1));
    clients[0]?.end();
    await terminals.get(serial).whenEnded();
    // Those who watched the one that ended open another, together.
    const [one, other] = await Promise.all([
      hostTerminals.open(lab, serialWish),
      hostTerminals.open(lab, serialWish),
    ]);
    expect(one).toBe(other);
    expect(one).not.toBe(serial);
    await vi.waitFor(() => expect(clients).toHaveLength(2));
  });

  test('share the serial console of a machine, each machine its own', async () => {
    const hostTerminals = new HostTerminals({ terminals, shellOf, machineConsoleOf });
    const wish = (machine: number | null) => ({ ...size, kind: 'machine' as const, machine });
    const [first, again, other] = await Promise.all([
      hostTerminals.open(host, wish(4711)),
      hostTerminals.open(host, wish(4711)),
      hostTerminals.open(host, wish(4712)),
    ]);
    expect(again).toBe(first);
    expect(other).not.toBe(first);
    const terminal = terminals.get(first);
    await vi.waitFor(() => expect(terminal.text).toBe('console of 4711\r\n'));
    hostTerminals.close(first);
    expect(terminals.isOpen(first)).toBe(true);
    hostTerminals.close(first);
    expect(() => terminals.get(first)).toThrow();
    for (const nobody of [null, 0, -1]) {
      await expect(hostTerminals.open(host, wish(nobody))).rejects.toMatchObject({
        error: 'io.luoconsole.Console.InvalidValue',
        parameters: { parameter: 'machine' },
      });
    }
  });

  test('have no serial console where there is none', async () => {
    await expect(open(null)).rejects.toMatchObject({ error: 'io.luoconsole.Console.InvalidValue' });
    await expect(open('/nowhere/serial')).rejects.toMatchObject({
      error: 'io.luoconsole.Console.FileUnusable',
      parameters: { path: '/nowhere/serial', errno: 'ENOENT' },
    });
  });
});
