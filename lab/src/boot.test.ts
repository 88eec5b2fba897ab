// SPDX-License-Identifier: Apache-2.0
/**
 * A file lock held by a child stands for QEMU: waiting for a boot sees of QEMU only that lock and
 * the two logs.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { BootError, logEnds, reportedBoots, waitForBoot } from './boot.ts';
import { type HostFiles, hostFiles } from './settings.ts';

const firstBoot = '11111111-2222-3333-4444-555555555555';
const secondBoot = '66666666-7777-8888-9999-000000000000';
const ready = (boot: string, event = 'ready') =>
  `${event} boot=${boot} kernel=7.3.4-a uptime=8.95 agent=answers\n`;

let state: string;
let files: HostFiles;
let machine: ChildProcess;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'luo-boot-'));
  vi.stubEnv('XDG_STATE_HOME', state);
  files = hostFiles('lab');
  await mkdir(files.directory, { recursive: true });
  await writeFile(files.serialLog, 'Linux version 7.3.4-a\r\n');
  await writeFile(files.events, '');
  machine = spawn('flock', ['--no-fork', files.alive, 'sh', '-c', 'echo on; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  if (machine.stdout) await once(machine.stdout, 'data');
});
afterEach(async () => {
  machine.kill();
  vi.unstubAllEnvs();
  await rm(state, { recursive: true });
});

const waiting = async (limitMs?: number) =>
  waitForBoot('lab', files, { since: await logEnds(files), failOnPanic: true, limitMs });

test('a report is a boot', async () => {
  const boot = waiting();
  await appendFile(files.events, ready(firstBoot));
  expect(await boot).toMatchObject({
    bootId: firstBoot,
    kernel: '7.3.4-a',
    uptimeSeconds: 8.95,
    agent: 'answers',
  });
});

test('an earlier report is not the next boot', async () => {
  await appendFile(files.events, ready(firstBoot));
  const boot = waiting();
  await appendFile(files.events, ready(secondBoot));
  expect((await boot).bootId).toBe(secondBoot);
  expect((await reportedBoots(files)).map(({ bootId }) => bootId)).toEqual([firstBoot, secondBoot]);
});

test('half a line is not a report', async () => {
  await appendFile(files.events, ready(firstBoot).slice(0, -3));
  expect(await reportedBoots(files)).toEqual([]);
});

test('emergency mode is a failure', async () => {
  const boot = waiting();
  await appendFile(files.events, ready(firstBoot, 'emergency'));
  await expect(boot).rejects.toThrow(/host lab: systemd entered emergency mode/);
});

test('a panic is a failure that shows what the console said', async () => {
  const boot = waiting();
  await appendFile(
    files.serialLog,
    'Kernel panic - not syncing: no init\r\nCPU: 0\r\n---[ end Kernel panic\r\n',
  );
  await expect(boot).rejects.toThrow(/the kernel panicked: no init\n.*\nLinux version 7\.3\.4-a\n.*\nCPU: 0/);
});

test('a panic is quoted to its end, however much the machine has said since it started again', async () => {
  const boot = waiting();
  await appendFile(files.serialLog, 'Kernel panic - not syncing: no init\r\n');
  const again = Array.from({ length: 200 }, (_, line) => `next boot, line ${line}\r\n`).join('');
  await appendFile(files.serialLog, `Call Trace:\r\n[    0.000000] Linux version 7.3.4-a\r\n${again}`);
  const failure = await boot.catch((error: unknown) => error);
  expect(`${failure}`).toMatch(/\nKernel panic - not syncing: no init\nCall Trace:$/);
});

test('the end of QEMU is a failure', async () => {
  const boot = waiting();
  machine.kill();
  await expect(boot).rejects.toThrow(/QEMU ended/);
});

test('a host that says nothing is given up', async () => {
  const failure = await waiting(50).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(BootError);
  expect(`${failure}`).toMatch(/not up after 0\.05 s/);
});
