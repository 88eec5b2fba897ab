// SPDX-License-Identifier: Apache-2.0
/** Described machines as callers see them, up to the point at which a service manager would be asked. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { MadeUpHost } from './made-up-host.ts';
import { MadeUpVmms } from './made-up-vmms.ts';

let host: MadeUpHost;
let directory: string;

beforeEach(() => {
  host = new MadeUpHost();
  directory = join(host.paths.etc, 'luo-console/machines');
  mkdirSync(directory, { recursive: true });
});
afterEach(() => host.dispose());

/** Describes a machine that needs nothing of the host, and `more`. @returns the file */
function describeMachine(name: string, more: object = {}): string {
  const path = join(directory, `${name}.json`);
  writeFileSync(path, JSON.stringify({ memory: 64, accelerator: 'tcg', ...more }), { mode: 0o644 });
  return path;
}

const error = (name: string): string => `io.luoconsole.Agent.${name}`;

/** How starting fails at a kernel that is not there, after all that has to do with names. */
const noKernel = (path: string) => ({
  error: error('DefinitionInvalid'),
  parameters: { path, reason: expect.stringContaining('member "kernel"') },
});

describe('described machines', () => {
  it('are listed, also those that cannot be used', async () => {
    describeMachine('web', { description: 'The web server', vcpus: 2 });
    const path = describeMachine('bad', { colour: 'red' });
    const client = await host.start();
    expect((await client.call('ListDefinitions', {})).definitions).toEqual([
      {
        ...{ name: 'bad', path, problem: 'member "colour" is unknown', description: '' },
        ...{ vcpus: null, memory: null, pid: null },
      },
      {
        ...{ name: 'web', path: join(directory, 'web.json'), problem: null, description: 'The web server' },
        ...{ vcpus: 2, memory: 64 * 1024 ** 2, pid: null },
      },
    ]);
  });

  it('are not started if there is none of that name, or its file cannot be used', async () => {
    const path = describeMachine('bad', { extraArguments: ['-daemonize'] });
    const client = await host.start();
    for (const name of ['web', '../bad', '']) {
      await expect(client.call('StartMachine', { name })).rejects.toMatchObject({
        error: error('DefinitionNotFound'),
        parameters: { name },
      });
    }
    await expect(client.call('StartMachine', { name: 'bad' })).rejects.toMatchObject({
      error: error('DefinitionInvalid'),
      parameters: { path, reason: expect.stringContaining('"-daemonize", which is refused') },
    });
  });

  it.each([
    [{ disks: [{ path: '/nowhere/a.img' }] }, 'member "disks.0.path" is "/nowhere/a.img"'],
    [{ kernel: '/nowhere/vmlinuz' }, 'member "kernel" is "/nowhere/vmlinuz"'],
    [{ user: 'nobody-here' }, 'member "user" is "nobody-here"'],
  ])('are not started if the host lacks what they need: %j', async (more, reason) => {
    const path = describeMachine('web', more);
    const client = await host.start();
    await expect(client.call('StartMachine', { name: 'web' })).rejects.toMatchObject({
      error: error('DefinitionInvalid'),
      parameters: { path, reason: expect.stringContaining(reason) },
    });
    expect((await client.call('ListDefinitions', {})).definitions).toMatchObject([{ pid: null }]);
  });

  /** A process that runs as the unit of `web`, as a user, with its monitor in the directory of that unit. */
  function runAsUnit(stem: string, uid: number): number {
    const pid = process.pid;
    const group = join(host.paths.sys, 'fs/cgroup/machine.slice/luo-machine-web.service');
    mkdirSync(group, { recursive: true });
    writeFileSync(join(group, 'cgroup.procs'), `${pid}\n`);
    const words = ['qemu-system-x86_64', '-qmp', `unix:/run/${stem}/machines/web/qmp,server=on,wait=off`];
    mkdirSync(join(host.paths.proc, String(pid)));
    writeFileSync(join(host.paths.proc, String(pid), 'cmdline'), `${words.join('\0')}\0`);
    const ids = `${uid}\t${uid}\t${uid}\t${uid}`;
    writeFileSync(join(host.paths.proc, String(pid), 'status'), `Uid:\t${ids}\nGid:\t${ids}\n`);
    return pid;
  }

  it.each(['luo-console', 'luo-agent'])('run with their sockets below /run/%s', async (stem) => {
    describeMachine('web', { user: 'root' });
    const pid = runAsUnit(stem, 0);
    const client = await host.start();
    expect((await client.call('ListDefinitions', {})).definitions).toMatchObject([{ name: 'web', pid }]);
    await expect(client.call('StartMachine', { name: 'web' })).rejects.toMatchObject({
      parameters: { reason: 'it is already running' },
    });
  });

  it('do not run if a process of another user is their unit', async () => {
    const path = describeMachine('web', { user: 'root', kernel: '/nowhere/vmlinuz' });
    runAsUnit('luo-console', 1234);
    const client = await host.start();
    expect((await client.call('ListDefinitions', {})).definitions).toMatchObject([{ pid: null }]);
    await expect(client.call('StartMachine', { name: 'web' })).rejects.toMatchObject(noKernel(path));
  });

  it('may be started while a machine of their name is adopted that was found', async () => {
    const path = describeMachine('web', { kernel: '/nowhere/vmlinuz' });
    const vmms = new MadeUpVmms(host);
    const client = await host.start();
    const { pid } = await vmms.start('web', 'whole_state');
    onTestFinished(() => vmms.endAll());
    const { machine } = await client.call('AdoptMachine', { pid });
    expect(machine).toMatchObject({
      name: 'web',
      session: `machine:web@${process.getuid?.()}`,
      definition: null,
    });
    expect((await client.call('ListDefinitions', {})).definitions).toMatchObject([{ pid: null }]);
    await expect(client.call('StartMachine', { name: 'web' })).rejects.toMatchObject(noKernel(path));
  });

  it('are not started while a machine that was found before them has their session', async () => {
    const vmms = new MadeUpVmms(host);
    const client = await host.start();
    const { pid } = await vmms.start('web', 'whole_state');
    onTestFinished(() => vmms.endAll());
    await client.call('AdoptMachine', { pid });
    const path = describeMachine('web', { kernel: '/nowhere/vmlinuz' });
    await expect(client.call('StartMachine', { name: 'web' })).rejects.toMatchObject({
      error: error('MachineUnusable'),
      parameters: { pid, name: 'web', reason: expect.stringContaining('session "machine:web"') },
    });
    await client.call('ReleaseMachine', { pid });
    await client.call('AdoptMachine', { pid });
    await expect(client.call('StartMachine', { name: 'web' })).rejects.toMatchObject(noKernel(path));
  });

  it('give no console of what is no machine', async () => {
    const client = await host.start();
    await expect(client.call('FetchConsole', { pid: 2 ** 30 })).rejects.toMatchObject({
      error: error('NoSuchProcess'),
    });
  });
});
