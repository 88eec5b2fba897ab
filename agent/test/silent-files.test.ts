// SPDX-License-Identifier: Apache-2.0
/** A caller's file whose close never ends (`native-bindings/test/silent-files.ts`), and who is answered meanwhile. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { native } from '@luo-console/native';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { AgentClient } from '../src/client/index.ts';
import { mountsIn } from '../src/host/mounts.ts';
import { describeFile } from '../src/liveupdate/preservable.ts';
import { MadeUpHost } from './made-up-host.ts';

const program = fileURLToPath(new URL('../../native-bindings/test/silent-files.ts', import.meta.url));
const possible = process.getuid?.() === 0 && existsSync('/dev/fuse');

let host: MadeUpHost;
let client: AgentClient;
let directory: string;
let server: ChildProcess;
let said: Interface;
let opened: number;

beforeEach(async () => {
  if (!possible) return;
  host = new MadeUpHost();
  client = await host.start();
  await client.call('CreateSession', { name: 's' });
  directory = mkdtempSync(join(tmpdir(), 'luo-silent-'));
  server = spawn(process.execPath, [program, directory], { stdio: ['pipe', 'pipe', 'inherit'] });
  if (server.stdout === null) throw new Error('the file system says nothing');
  said = createInterface(server.stdout);
  await once(said, 'line');
  opened = openSync(join(directory, 'file'), 'r');
});
afterEach(async () => {
  if (!possible) return;
  // With it, every close ends.
  if (server.kill('SIGKILL')) await once(server, 'exit');
  try {
    closeSync(opened);
  } catch {
    // The number is free all the same.
  }
  host.dispose();
  spawnSync('umount', ['--lazy', directory]);
  rmdirSync(directory);
});

it.runIf(possible)('a file that is refused is closed, and everybody else is answered', async () => {
  const closing = once(said, 'line');
  using file = native.descriptors.duplicate(opened);
  const parameters = { session: 's', fileDescriptor: 0, label: 'silent' };
  await expect(client.exchange('PreserveDescriptor', parameters, [file])).rejects.toMatchObject({
    error: 'io.luoconsole.Agent.NotPreservable',
  });
  // The agent's copies are being closed.
  await closing;
  expect((await client.call('GetStatus', {})).status.phase).toBe('normal');
  expect((await client.call('ListSessions', {})).sessions).toMatchObject([{ descriptors: [] }]);
  // It still does not answer: nothing has waited until it was gone.
  expect(statSync(directory).isDirectory()).toBe(true);
});

it.runIf(possible)('a file is looked at without its file system, which may not answer', async () => {
  server.kill('SIGSTOP');
  // More than libuv has threads: all of them would wait.
  const looks = Array.from({ length: 5 }, () => describeFile(`/proc/self/fd/${opened}`));
  for (const file of await Promise.all(looks)) {
    expect(file).toMatchObject({ kind: 'other', name: join(directory, 'file'), size: null, regular: true });
    expect(file.inode).toBeGreaterThan(0);
  }
});

it.runIf(possible)('a file that is mapped, and was closed since, is not asked either', async () => {
  server.kill('SIGSTOP');
  const proc = mkdtempSync(join(tmpdir(), 'luo-proc-'));
  const ino = 7;
  const own = join(proc, '42');
  mkdirSync(join(own, 'map_files'), { recursive: true });
  symlinkSync(join(directory, 'file'), join(own, 'map_files', '1000-2000'));
  const [major = 0, minor = 0] = mountDevice(directory).split(':').map(Number);
  const device = [major, minor].map((each) => each.toString(16).padStart(2, '0')).join(':');
  writeFileSync(join(own, 'maps'), `1000-2000 rw-s 00000000 ${device} ${ino}   ${directory}/file\n`);
  writeFileSync(join(own, 'mountinfo'), readFileSync('/proc/self/mountinfo'));
  const looks = Array.from({ length: 5 }, () => describeFile(join(own, 'map_files', '1000-2000')));
  for (const file of await Promise.all(looks)) expect(file).toMatchObject({ kind: 'other', inode: ino });
  rmSync(proc, { recursive: true });
});

it.runIf(possible)('nor is one whose mount only the agent sees, and not the process', async () => {
  server.kill('SIGSTOP');
  const proc = mkdtempSync(join(tmpdir(), 'luo-proc-'));
  for (const who of ['42/fd', '42/fdinfo', 'self']) mkdirSync(join(proc, who), { recursive: true });
  symlinkSync(join(directory, 'file'), join(proc, '42/fd/7'));
  writeFileSync(join(proc, '42/fdinfo/7'), readFileSync(`/proc/self/fdinfo/${opened}`));
  writeFileSync(join(proc, '42/mountinfo'), '');
  writeFileSync(join(proc, 'self/mountinfo'), readFileSync('/proc/self/mountinfo'));
  const looks = Array.from({ length: 5 }, () => describeFile(join(proc, '42/fd/7')));
  for (const file of await Promise.all(looks)) expect(file).toMatchObject({ kind: 'other', regular: true });
  rmSync(proc, { recursive: true });
});

/** The number of the file system that is mounted there, for example `0:52`. */
const mountDevice = (point: string): string =>
  mountsIn(readFileSync('/proc/self/mountinfo', 'utf8')).find((mount) => mount.point === point)?.device ?? '';
