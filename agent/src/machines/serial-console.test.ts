// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '@luo-console/native';
import { describe, expect, it, onTestFinished } from 'vitest';
import { connectConsole, serialConsoleOf } from './serial-console.ts';

describe('the serial console of a command line', () => {
  it.each([
    [['-serial', 'unix:/run/a,,b,server=on,wait=off'], '/run/a,b'],
    [['-serial', 'unix:/run/a,server,nowait'], '/run/a'],
    [['-chardev', 'socket,id=s,path=/run/b,server=on', '-serial', 'chardev:s'], '/run/b'],
    [['--chardev', 'socket,path=rel/b,server=true,id=s', '--device', 'isa-serial,chardev=s'], 'rel/b'],
    [['-chardev', 'socket,id=s,path=/c,server=on', '-device', 'virtconsole,id=x,chardev=s'], '/c'],
    [['-chardev', '{"backend":"socket","id":"s"}', '-serial', 'chardev:s'], null],
    [['-serial', 'unix:/run/a'], null],
    [['-serial', 'stdio'], null],
    [['-serial', 'none', '-serial', 'unix:/run/a,server=on'], '/run/a'],
    [['-chardev', 'socket,id=m,path=/m,server=on', '-mon', 'chardev=m'], null],
    [[], null],
  ])('%j is %j', (words, path) => {
    expect(serialConsoleOf(['qemu-system-x86_64', ...words])).toBe(path);
  });
});

describe('a connection to it', () => {
  const script =
    'require("net").createServer((s) => s.write("login: ")).listen(process.argv[1], () => console.log("."))';

  /** A process with a console on its command line, which it listens on unless somebody else does. */
  async function machine(listens: boolean): Promise<{ pid: number; path: string }> {
    const folder = mkdtempSync(join(tmpdir(), 'console-'));
    const path = join(folder, 'console');
    const words = ['-serial', `unix:${path},server=on,wait=off`];
    const own = listens ? path : join(folder, 'other');
    const child: ChildProcess = spawn(process.execPath, ['-e', script, own, '--', ...words], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
      rmSync(folder, { recursive: true });
    });
    if (child.stdout) await once(child.stdout, 'data');
    return { pid: child.pid ?? 0, path };
  }

  it('is made once: it takes one at a time', async () => {
    const { pid } = await machine(true);
    using connection = await connectConsole(native, '/proc', { pid, name: 'one' });
    expect(native.sockets.peerCredentials(connection).pid).toBe(pid);
    await expect(connectConsole(native, '/proc', { pid, name: 'one' })).rejects.toMatchObject({
      refusal: 'MachineUnusable',
      parameters: { pid, name: 'one', reason: expect.stringContaining('takes one at a time') },
    });
  });

  it('is not made to somebody else who listens there', async () => {
    const { pid, path } = await machine(false);
    const other = createServer().listen(path);
    await once(other, 'listening');
    await expect(connectConsole(native, '/proc', { pid, name: 'one' })).rejects.toThrow(
      'it does not listen on',
    );
    await new Promise((resolve) => other.close(resolve));
  });

  it('is refused for a process without one', async () => {
    await expect(connectConsole(native, '/proc', { pid: process.pid, name: 'vitest' })).rejects.toThrow(
      'its command line has no serial port',
    );
  });
});
