// SPDX-License-Identifier: Apache-2.0
/** Machines as callers see them: a real process that is called like a VMM, and a kernel that is asked about its files. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MadeUpHost } from './made-up-host.ts';
import { memfdWith, preserve } from './scenario.ts';

let host: MadeUpHost;
let child: ChildProcess | null = null;

beforeEach(() => {
  host = new MadeUpHost();
});
afterEach(async () => {
  if (child?.exitCode === null && child.kill()) await once(child, 'exit');
  child = null;
  host.dispose();
});

/** A process of this name, with a memfd as its descriptor 3, that the host can see. */
async function startVmm(name: string, fd: number): Promise<number> {
  child = spawn('sleep', ['600'], { argv0: name, stdio: ['ignore', 'ignore', 'ignore', fd] });
  await once(child, 'spawn');
  const { pid } = child;
  if (pid === undefined) throw new Error('the process did not start');
  symlinkSync(`/proc/${pid}`, join(host.paths.proc, String(pid)));
  return pid;
}

describe('machines', () => {
  it('are listed with what the kernel says of their files, and asking leaves nothing behind', async () => {
    using memory = memfdWith('guest memory');
    const pid = await startVmm('qemu-system-test', memory.fd);
    const client = await host.start();
    const { machines } = await client.call('ListMachines', {});
    expect(machines).toMatchObject([
      {
        pid,
        vmm: 'QEMU',
        command: 'sleep',
        state: 'unknown',
        monitor: 'none',
        descriptors: [
          { fd: 3, kind: 'memfd', size: 12, fate: 'preservable', source: 'kernel', session: null },
        ],
      },
    ]);
    using device = host.double.openDevice(host.paths.device);
    using session = host.double.createSession(device, 'luo-console-question');
    expect(host.double.sessionName(session)).toBe('luo-console-question');
    expect((await client.call('ListSessions', {})).sessions).toEqual([]);
  });

  it('say where their memory is preserved', async () => {
    using memory = memfdWith('guest memory');
    const pid = await startVmm('qemu-system-test', memory.fd);
    const client = await host.start();
    await client.call('CreateSession', { name: 'guests' });
    await preserve(client, 'guests', memory, 'ram', '0x7');
    const { machine } = await client.call('GetMachine', { pid });
    expect(machine.descriptors).toMatchObject([{ fate: 'preservable', session: 'guests', token: '0x7' }]);
  });

  it('are judged by rule where there is no live update', async () => {
    using memory = memfdWith('guest memory');
    const pid = await startVmm('qemu-system-test', memory.fd);
    host.double.openFailure = 'ENOENT';
    const client = await host.start();
    const { machine } = await client.call('GetMachine', { pid });
    expect(machine.descriptors).toMatchObject([{ fate: 'preservable', source: 'rule', errno: null }]);
  });

  it('are told from other processes, and from none', async () => {
    using memory = memfdWith('memory');
    const pid = await startVmm('sleep', memory.fd);
    const client = await host.start();
    expect((await client.call('ListMachines', {})).machines).toEqual([]);
    await expect(client.call('GetMachine', { pid })).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.NotAMachine',
      parameters: { pid, command: 'sleep' },
    });
    await expect(client.call('GetMachine', { pid: 2 ** 30 })).rejects.toMatchObject({
      error: 'io.luoconsole.Agent.NoSuchProcess',
    });
  });
});
