// SPDX-License-Identifier: Apache-2.0
/** SHA-256 of files, against node:crypto, and what happens to a file that changes under it. */
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { descriptors, memory, sockets } from '../src/index.ts';
import { addon } from '../src/load.ts';
import { rejectionOf } from './failures.ts';

const windowBytes = 8 << 20;

const expected = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

function fileOf(data: Uint8Array) {
  const file = memory.memfdCreate('digest', { allowSealing: true });
  memory.write(file, 0n, data);
  return file;
}

describe.each([
  ['the processor’s instructions', true],
  ['portable code', false],
])('SHA-256 by %s', (_name, useInstructions) => {
  it('agrees with node:crypto at every length up to 512 bytes', () => {
    const data = randomBytes(512);
    for (let length = 0; length <= data.length; length++) {
      const part = data.subarray(0, length);
      expect(addon.memory.digestBytes(part, useInstructions), `length ${length}`).toBe(expected(part));
    }
  });

  it('agrees at a length of many blocks, from an odd address', () => {
    const data = randomBytes(1_000_003).subarray(3);
    expect(addon.memory.digestBytes(data, useInstructions)).toBe(expected(data));
  });

  it('gives the published values', () => {
    const of = (text: string) => addon.memory.digestBytes(Buffer.from(text), useInstructions);
    expect(of('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    expect(of('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(of('a'.repeat(1_000_000))).toBe(
      'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0',
    );
  });
});

describe('sha256 of a file', () => {
  it.each([
    0,
    1,
    55,
    56,
    64,
    4095,
    4096,
    4097,
    windowBytes - 1,
    windowBytes,
    windowBytes + 1,
    2 * windowBytes + 12345,
  ])('agrees with node:crypto at %i bytes', async (length) => {
    const data = randomBytes(length);
    using file = fileOf(data);
    expect(await memory.sha256(file)).toBe(expected(data));
  });

  it('reads holes as zeros', async () => {
    using file = memory.memfdCreate('sparse');
    memory.truncate(file, BigInt(windowBytes + 999));
    expect(await memory.sha256(file)).toBe(expected(Buffer.alloc(windowBytes + 999)));
  });

  it('reports progress after each window but the last, in bytes', async () => {
    using file = memory.memfdCreate('progress');
    memory.truncate(file, BigInt(2 * windowBytes + 1));
    const seen: bigint[] = [];
    await memory.sha256(file, { onProgress: (bytes) => seen.push(bytes) });
    expect(seen).toEqual([BigInt(windowBytes), BigInt(2 * windowBytes)]);
  });

  it('takes a file on disk too', async () => {
    const fd = openSync(import.meta.filename, 'r');
    const data = readFileSync(import.meta.filename);
    expect(await memory.sha256(fd)).toBe(expected(data));
    closeSync(fd);
  });

  it('goes on with the file it was given when the descriptor is closed and its number reused', async () => {
    const data = randomBytes(2 * windowBytes);
    const file = fileOf(data);
    const number = file.fd;
    const digest = memory.sha256(file);
    file.close();
    using other = fileOf(randomBytes(100));
    expect(other.fd).toBe(number);
    expect(await digest).toBe(expected(data));
  });

  it('digests several files at once', async () => {
    const files = [1, 2, 3, 4, 5].map((count) => randomBytes(count * 1_000_000));
    const digests = files.map(async (data) => {
      using file = fileOf(data);
      return await memory.sha256(file);
    });
    expect(await Promise.all(digests)).toEqual(files.map(expected));
  });

  it('fails on what is no regular file, and on one that may not be read', async () => {
    const [one, other] = sockets.socketPair();
    expect(await rejectionOf(memory.sha256(one))).toMatchObject({ code: 'ENODEV', syscall: 'mmap' });
    one.close();
    other.close();
    using file = fileOf(Buffer.from('x'));
    const writeOnly = openSync(`/proc/self/fd/${file.fd}`, 'a');
    expect(await rejectionOf(memory.sha256(writeOnly))).toMatchObject({
      code: 'EACCES',
      syscall: 'mmap',
      argument: `file=${writeOnly}`,
    });
    closeSync(writeOnly);
  });

  it('fails on a descriptor that is not open', async () => {
    const file = memory.memfdCreate('x');
    file.close();
    expect(await rejectionOf(memory.sha256(file))).toMatchObject({ code: 'EBADF', argument: 'file=-1' });
  });
});

describe('a file cut shorter while it is read', () => {
  const cutTo = async (size: bigint) => {
    using file = memory.memfdCreate('cut');
    memory.truncate(file, BigInt(3 * windowBytes));
    const promise = memory.sha256(file, { onProgress: () => memory.truncate(file, size) });
    const failure = await rejectionOf(promise);
    expect(failure).toMatchObject({ code: 'EIO', errno: 5, syscall: 'mmap' });
    expect(failure.argument).toBe(`file=${file.fd} (cut shorter while it was read)`);
  };

  it.each([
    ['within the next window', BigInt(windowBytes + 3 * 4096)],
    ['to nothing', 0n],
    ['within the last page', BigInt(3 * windowBytes - 100)],
  ])('%s is an error, and the process goes on', async (_name, size) => {
    const before = readdirSync('/proc/self/fd').length;
    await cutTo(size);
    // The digest's own copy is closed on another thread.
    await vi.waitFor(() => expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before), 10_000);
    using whole = fileOf(Buffer.from('still here'));
    expect(await memory.sha256(whole)).toBe(expected(Buffer.from('still here')));
  });

  it('is an error even where the program listens to SIGBUS itself', async () => {
    const ignore = () => {};
    process.on('SIGBUS', ignore);
    try {
      await cutTo(0n);
    } finally {
      process.off('SIGBUS', ignore);
    }
  });

  it('several times over leaves no descriptor behind', async () => {
    const before = readdirSync('/proc/self/fd').length;
    for (let count = 0; count < 20; count++) await cutTo(0n);
    await vi.waitFor(() => expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before), 10_000);
  });
});

describe('SIGBUS from elsewhere', () => {
  const run = (body: string) => {
    const program = `import { memory } from ${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)};
      using file = memory.memfdCreate('x');
      memory.write(file, 0n, Buffer.alloc(5000));
      ${body}`;
    return spawnSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' });
  };

  it('still ends a process that does not expect it', () => {
    const ended = run(`await memory.sha256(file);
      process.kill(process.pid, 'SIGBUS');
      await new Promise((resolve) => setTimeout(resolve, 60_000));`);
    expect(ended.signal, ended.stderr).toBe('SIGBUS');
  });

  it('still reaches a listener that was there before', () => {
    const ended = run(`const heard = new Promise((resolve) => process.once('SIGBUS', resolve));
      await memory.sha256(file);
      process.kill(process.pid, 'SIGBUS');
      const keepAlive = setInterval(() => {}, 60_000);
      console.log(await heard);
      clearInterval(keepAlive);`);
    expect(ended.stdout, ended.stderr).toBe('SIGBUS\n');
  });
});

it('a duplicate outlives its original in a digest', async () => {
  const file = fileOf(Buffer.from('both'));
  using copy = descriptors.duplicate(file);
  file.close();
  expect(await memory.sha256(copy)).toBe(expected(Buffer.from('both')));
});
