// SPDX-License-Identifier: Apache-2.0
/** A connection to a serial console, to processes that do what QEMU does on its socket. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { native } from '@luo-console/native';
import { describe, expect, it, onTestFinished } from 'vitest';
import { connectConsole } from './serial-console.ts';

describe('a connection to a serial console', () => {
  const script =
    'require("net").createServer((s) => s.on("error", () => {}).write("login: ")).listen(process.argv[1], () => console.log("."))';

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
