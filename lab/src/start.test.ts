// SPDX-License-Identifier: Apache-2.0
/** Bringing a host up, as far as nothing boots: what it is not quietly started as, and its files. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { shareFile } from './create.ts';
import { hostFiles, writeSettings } from './settings.ts';
import { startHost } from './start.ts';

let state: string;
let machine: ChildProcess;

/** A host of 2 GiB with a kernel, and a process in QEMU's place that keeps it alive. */
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'luo-start-'));
  vi.stubEnv('XDG_STATE_HOME', state);
  const files = hostFiles('lab');
  const settings = { name: 'lab', suite: 'sid', memoryMiB: 2048, kernel: '/k', kernelArguments: [] } as const;
  await writeSettings({ ...settings, uuid: 'u', sshPort: 34567 });
  await writeFile(files.kernel, 'one kernel');
  machine = spawn('flock', ['--no-fork', files.alive, 'sh', '-c', 'echo on; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  if (machine.stdout) await once(machine.stdout, 'data');
});
afterEach(async () => {
  machine.stdin?.end();
  await once(machine, 'exit');
  vi.unstubAllEnvs();
  await rm(state, { recursive: true });
});

test.each([
  [{ suite: 'trixie' }, /host lab has suite sid, not trixie; `down --name lab` first/],
  [{ memory: '1G' }, /host lab has memory 2048M, not 1G/],
] as const)('a host that exists is not quietly another: %j', async (options, message) => {
  await expect(startHost(options)).rejects.toThrow(message);
});

test('a running host is not quietly left with another kernel than the one asked for', async () => {
  const kernel = join(state, 'bzImage');
  await writeFile(kernel, 'another kernel');
  await expect(startHost({ kernel })).rejects.toThrow(
    `host lab runs with another kernel than ${kernel}; \`power-cut --name lab\` first, or update it`,
  );
});

test('a kernel or a package that is not there is refused before anything is done', async () => {
  await expect(startHost({ kernel: '/nothing/bzImage' })).rejects.toThrow(
    'kernel /nothing/bzImage: no such file',
  );
  await expect(startHost({ name: 'other', deb: '/nothing/a.deb' })).rejects.toThrow(
    'agent package /nothing/a.deb',
  );
});

describe('an image becomes part of a host', () => {
  const size = 64 * 1024 * 1024;
  let image: string;
  let other: string;

  beforeEach(async () => {
    image = join(state, 'root.img');
    const file = await open(image, 'w');
    await file.write('superblock', 4096);
    await file.truncate(size);
    await file.close();
    other = await mkdtemp('/dev/shm/luo-start-');
  });
  afterEach(async () => rm(other, { recursive: true }));

  test('under a second name on the same file system', async () => {
    await shareFile(image, join(state, 'shared.img'));
    expect((await stat(join(state, 'shared.img'))).ino).toBe((await stat(image)).ino);
  });

  test('as a sparse copy on another', async ({ skip }) => {
    if ((await stat(other)).dev === (await stat(state)).dev)
      skip('the temporary directory is in /dev/shm too');
    await shareFile(image, join(other, 'root.img'));
    expect((await readFile(join(other, 'root.img'))).equals(await readFile(image))).toBe(true);
    const copy = await stat(join(other, 'root.img'));
    expect(copy.size).toBe(size);
    expect(copy.blocks * 512).toBeLessThan(size / 4);
  });

  test('and any other failure is one', async () => {
    await expect(shareFile(join(state, 'gone.img'), join(other, 'root.img'))).rejects.toThrow('ENOENT');
  });
});
