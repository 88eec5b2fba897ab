// SPDX-License-Identifier: Apache-2.0
/**
 * Closing a file that came from outside, where the close never ends: a real file of a file system that answers
 * everything else. The file system ends by itself after a while. A test that had waited for it finds it gone.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmdirSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Descriptor, descriptors, kernel, liveUpdate, memory, sockets } from '../src/index.ts';
import { rejectionOf } from './failures.ts';

const possible = process.getuid?.() === 0 && existsSync('/dev/fuse');
/** Threads on which descriptors are closed, at most (`src/addon/closing.cc`), and those that are kept for calls. */
const mostThreads = 64 + 8;

let directory: string;
let server: ChildProcess;
let said: Interface;
let path: string;
/** Numbers that the test opened itself, which it can only close once the file system has ended. */
let opened: number[];

beforeEach(async () => {
  if (!possible) return;
  directory = mkdtempSync(join(tmpdir(), 'luo-silent-'));
  path = join(directory, 'file');
  opened = [];
  const program = join(import.meta.dirname, 'silent-files.ts');
  server = spawn(process.execPath, [program, directory], { stdio: ['pipe', 'pipe', 'inherit'] });
  if (server.stdout === null) throw new Error('the file system says nothing');
  said = createInterface(server.stdout);
  expect(await once(said, 'line')).toEqual(['ready']);
});

afterEach(async () => {
  if (!possible) return;
  // With it, every close ends.
  if (server.kill('SIGKILL')) await once(server, 'exit');
  for (const number of opened) {
    try {
      closeSync(number);
    } catch {
      // The number is free all the same.
    }
  }
  await vi.waitFor(() => expect(openHere()).toBe(0), 10_000);
  // A close may be at its last instructions: it keeps the mount busy.
  spawnSync('umount', ['--lazy', directory]);
  rmdirSync(directory);
});

/** How many numbers of this process lead to the file. */
function openHere(): number {
  return readdirSync('/proc/self/fd').filter((number) => {
    try {
      return readlinkSync(`/proc/self/fd/${number}`) === path;
    } catch {
      return false;
    }
  }).length;
}

function opening(): number {
  const number = openSync(path, 'r');
  opened.push(number);
  return number;
}

/** The file, as somebody sends it. */
function received(): Descriptor {
  const [one, other] = sockets.socketPair();
  sockets.send(one, Buffer.of(1), [opening()]);
  const [file] = sockets.receive(other)?.descriptors ?? [];
  one.close();
  other.close();
  if (file === undefined) throw new Error('nothing was received');
  return file;
}

/** Does it; the file is being closed then, and nobody waits for it. */
async function closesAndGoesOn(act: () => unknown): Promise<void> {
  const closing = once(said, 'line');
  await act();
  expect(await closing).toEqual(['flush']);
  // It still does not answer: nothing here has waited until it was gone.
  expect(statSync(directory).isDirectory()).toBe(true);
}

describe.runIf(possible)('a file whose close never ends', () => {
  it('holds nobody up if it was received', async () => {
    const file = received();
    await closesAndGoesOn(() => file.close());
    expect(file.closed).toBe(true);
  });

  it('holds nobody up if it is a process’s', async () => {
    using process_ = descriptors.pidfdOpen(process.pid);
    const file = descriptors.pidfdGetfd(process_, opening());
    await closesAndGoesOn(() => file.close());
  });

  it('holds nobody up if it is a duplicate of such a file, or of a number', async () => {
    using file = received();
    await closesAndGoesOn(() => descriptors.duplicate(file).close());
    await closesAndGoesOn(() => descriptors.duplicate(opening()).close());
  });

  it('holds nobody up at the end of a block', async () => {
    await closesAndGoesOn(() => {
      using _file = received();
    });
  });

  it('holds nobody up if it is forgotten', async () => {
    const warned = once(process, 'warning');
    await closesAndGoesOn(async () => {
      (() => void received())();
      let collected = false;
      void warned.then(() => {
        collected = true;
      });
      while (!collected) {
        globalThis.gc?.();
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    expect(String(await warned)).toMatch(/from receive was dropped open/);
  });

  it('holds nobody up after a call that had its own copy of it', async () => {
    using file = received();
    using session = memory.memfdCreate('no session');
    await closesAndGoesOn(() => rejectionOf(liveUpdate.preserveFd(session, file, 0n)));
    await closesAndGoesOn(() => rejectionOf(liveUpdate.preserveFds(session, [file], [0n])));
    await closesAndGoesOn(() => memory.sha256(file));
    await closesAndGoesOn(() => memory.collapse(file, 0n, 2 << 20));
    await closesAndGoesOn(() => memory.hugeBytes(file));
    await closesAndGoesOn(() => rejectionOf(kernel.kexecFileLoad(file, null, '')));
    await closesAndGoesOn(() => kernel.syncFileSystem(descriptors.duplicate(file)));
  });

  it('holds up neither other closes nor calls, however many there are, and takes only so many threads', async () => {
    const before = readdirSync('/proc/self/task').length;
    const files = Array.from({ length: 20 }, received);
    let flushes = 0;
    said.on('line', () => {
      flushes += 1;
    });
    for (const file of files) file.close();
    await vi.waitFor(() => expect(flushes).toBe(files.length), 10_000);
    const [one, other] = sockets.socketPair();
    sockets.send(one, Buffer.of(1), [other]);
    for (const each of sockets.receive(other)?.descriptors ?? []) each.close();
    other.close();
    // Its other end is closed for good once the copy that was received is.
    await vi.waitFor(() => expect(sockets.receive(one)?.data).toHaveLength(0), 10_000);
    one.close();
    for (const file of Array.from({ length: 100 }, received)) file.close();
    await vi.waitFor(() => expect(flushes).toBeGreaterThan(60), 10_000);
    expect(readdirSync('/proc/self/task').length - before).toBeLessThanOrEqual(mostThreads);
    expect(statSync(directory).isDirectory()).toBe(true);
  });
});

describe('a descriptor that came from outside', () => {
  it('is EBADF if somebody else has closed its number', () => {
    const [one, other] = sockets.socketPair();
    sockets.send(one, Buffer.of(1), [one]);
    const [received] = sockets.receive(other)?.descriptors ?? [];
    closeSync(received?.fd ?? -1);
    expect(() => received?.close()).toThrow('EBADF');
    one.close();
    other.close();
  });
});
