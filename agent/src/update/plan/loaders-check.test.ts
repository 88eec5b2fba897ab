// SPDX-License-Identifier: Apache-2.0
/** Which programs the plan names that may load another kernel. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { loadersCheck } from './loaders-check.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'luo-loaders-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function write(path: string, text = ''): void {
  const at = join(directory, path);
  mkdirSync(join(at, '..'), { recursive: true });
  writeFileSync(at, text);
}

const check = () => loadersCheck({ proc: join(directory, 'proc'), etc: join(directory, 'etc') });

it('passes on a host where nothing loads kernels', async () => {
  write('proc/1/comm', 'systemd\n');
  write('proc/meminfo', 'MemTotal: 1 kB\n');
  write('etc/systemd/system/multi-user.target.wants/ssh.service');
  write('etc/rc2.d/S01ssh');
  expect(await check()).toEqual(['pass', 'no other program was found that loads kernels']);
});

it.each([
  ['a kexec that runs', 'proc/412/comm', 'kexec\n', /^kexec \(pid 412\) runs: /],
  ['a kdump that runs', 'proc/413/comm', 'kdump-config\n', /^kdump-config \(pid 413\) runs: /],
  [
    'a unit',
    'etc/systemd/system/multi-user.target.wants/kdump-tools.service',
    '',
    /^kdump-tools\.service is enabled: /,
  ],
  ['a timer', 'etc/systemd/system/timers.target.wants/my-kexec.timer', '', /^my-kexec\.timer is enabled: /],
  ['an init script', 'etc/rc6.d/K01kexec-load', '', /^kexec-load is enabled: /],
])('warns of %s by its name, and says what the agent does', async (_what, path, text, named) => {
  write(path, text);
  const [verdict, detail] = await check();
  expect(verdict).toBe('warn');
  expect(detail).toMatch(named);
  expect(detail).toContain('loads its own again right before machines are stopped');
});

it('names each once, though several targets want it, or it is a script too', async () => {
  for (const target of ['multi-user', 'graphical'])
    write(`etc/systemd/system/${target}.target.wants/kexec-load.service`);
  for (const level of [0, 6]) write(`etc/rc${level}.d/K01kexec-load`);
  expect((await check())[1]).toMatch(/^kexec-load\.service is enabled: /);
});
