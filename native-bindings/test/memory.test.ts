// SPDX-License-Identifier: Apache-2.0
/** Memfds: creating, sizes, seals, facts, positioned reads and writes. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { descriptors, memory, sockets } from '../src/index.ts';
import { failureOf } from './failures.ts';

/** As root, and where there is the device that the node is of. */
const canMakeNodes = process.getuid?.() === 0 && existsSync('/dev/loop0');

/** The setting holds for one namespace of processes, so that a test may change it. */
const canSealByDefault = process.getuid?.() === 0 && existsSync('/proc/sys/vm/memfd_noexec');

const F_SEAL_SEAL = 0x1;
const F_SEAL_SHRINK = 0x2;
const F_SEAL_GROW = 0x4;
const F_SEAL_WRITE = 0x8;

describe('memfdCreate', () => {
  it('makes an empty, unlinked, close-on-exec file with the given name', () => {
    using file = memory.memfdCreate('täst');
    expect(readlinkSync(`/proc/self/fd/${file.fd}`)).toBe('/memfd:täst (deleted)');
    expect(readFileSync(`/proc/self/fdinfo/${file.fd}`, 'utf8')).toMatch(/^flags:\s*02/m);
    expect(memory.fileFacts(file)).toMatchObject({ size: 0n, nlink: 0, allocated: 0n });
  });

  it('takes names of up to 249 bytes and refuses longer ones', () => {
    memory.memfdCreate('n'.repeat(249)).close();
    expect(() => memory.memfdCreate('n'.repeat(250))).toThrow(RangeError);
    expect(() => memory.memfdCreate('é'.repeat(125))).toThrow(
      /^name must be at most 249 bytes of UTF-8, not 250/,
    );
  });

  it.runIf(canSealByDefault)('makes a file that comes back writable under each vm.memfd_noexec', () => {
    // A file with F_SEAL_EXEC is retrieved sealed against writing.
    const program = `
      const { memory } = await import(${JSON.stringify(new URL('../src/index.ts', import.meta.url).pathname)});
      const file = memory.memfdCreate('state');
      memory.truncate(file, 4096n);
      memory.write(file, 0n, Buffer.from('x'));
      const { nlink } = memory.fileFacts(file);
      const other = (() => {
        try {
          return memory.getSeals(memory.memfdCreate('state', { allowSealing: true }));
        } catch (error) {
          return error.code;
        }
      })();
      console.log(JSON.stringify([memory.getSeals(file), nlink, other]));
      process.exit(0);`;
    const seen = ['0', '1', '2'].map((setting) =>
      JSON.parse(
        execFileSync('unshare', [
          ...['--pid', '--fork', '--mount-proc', 'sh', '-c'],
          'echo "$1" > /proc/sys/vm/memfd_noexec && shift && exec "$@"',
          ...['sh', setting, process.execPath, '--input-type=module', '-e', program],
        ]).toString(),
      ),
    );
    expect(seen).toEqual([
      [F_SEAL_SEAL, 0, 0],
      [F_SEAL_SEAL, 0, 0],
      [F_SEAL_SEAL, 0, 'EACCES'],
    ]);
  });

  it('refuses a misspelled option', () => {
    const options = { allowSeals: true } as object;
    expect(() => memory.memfdCreate('x', options)).toThrow(
      'options has no member "allowSeals": expected allowSealing, hugetlb',
    );
  });
});

describe('allocate', () => {
  it('makes the pages from an offset on, and leaves what is written', async () => {
    using file = memory.memfdCreate('pages');
    memory.write(file, 0n, Buffer.from('before'));
    await memory.allocate(file, 0n, 1 << 20);
    expect(memory.fileFacts(file)).toMatchObject({ size: 1n << 20n, allocated: 1n << 20n });
    await memory.allocate(file, 1n << 20n, 4096);
    expect(memory.fileFacts(file)).toMatchObject({ size: (1n << 20n) + 4096n });
    expect(memory.read(file, 0n, 8)).toEqual(Buffer.from('before\0\0'));
  });

  it('works on a thread of its own, while the event loop goes on', async () => {
    using file = memory.memfdCreate('pages');
    const order: string[] = [];
    const allocated = memory.allocate(file, 0n, 256 << 20).then(() => order.push('allocated'));
    await new Promise((resolve) => setImmediate(resolve));
    order.push('the loop');
    await allocated;
    expect(order).toEqual(['the loop', 'allocated']);
  });

  it('says what is wrong with the file, and with the size', async () => {
    using file = memory.memfdCreate('sealed', { allowSealing: true });
    memory.addSeals(file, F_SEAL_GROW);
    await expect(memory.allocate(file, 0n, 4096)).rejects.toMatchObject({
      code: 'EPERM',
      argument: `file=${file.fd}`,
    });
    await expect(memory.allocate(file, 0x7fff_ffff_ffff_f000n, 1 << 20)).rejects.toMatchObject({
      code: 'EFBIG',
      argument: 'bytes=1048576',
    });
  });
});

describe('seals', () => {
  it('can be added only to a memfd made for it, and read from any', () => {
    using sealable = memory.memfdCreate('sealable', { allowSealing: true });
    expect(memory.getSeals(sealable)).toBe(0);
    memory.addSeals(sealable, F_SEAL_SHRINK | F_SEAL_GROW);
    expect(memory.getSeals(sealable)).toBe(F_SEAL_SHRINK | F_SEAL_GROW);

    using plain = memory.memfdCreate('plain');
    expect(memory.getSeals(plain)).toBe(F_SEAL_SEAL);
    expect(failureOf(() => memory.addSeals(plain, F_SEAL_GROW))).toEqual({
      code: 'EPERM',
      errno: 1,
      syscall: 'fcntl(F_ADD_SEALS)',
      argument: `seals=${F_SEAL_GROW}`,
    });
  });

  it('are refused by the kernel if unknown', () => {
    using file = memory.memfdCreate('x', { allowSealing: true });
    expect(failureOf(() => memory.addSeals(file, 0x8000_0000))).toMatchObject({ code: 'EINVAL' });
  });

  it('are EINVAL on a file that takes none', () => {
    const fd = openSync(import.meta.filename, 'r');
    try {
      expect(failureOf(() => memory.getSeals(fd))).toMatchObject({
        code: 'EINVAL',
        errno: 22,
        syscall: 'fcntl(F_GET_SEALS)',
        argument: `file=${fd}`,
      });
    } finally {
      closeSync(fd);
    }
  });

  it('are kept by the kernel: a sealed file neither shrinks, grows nor changes', () => {
    using file = memory.memfdCreate('x', { allowSealing: true });
    memory.write(file, 0n, Buffer.from('fixed'));
    memory.addSeals(file, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    expect(failureOf(() => memory.truncate(file, 1n))).toMatchObject({ code: 'EPERM', argument: 'size=1' });
    expect(failureOf(() => memory.truncate(file, 99n))).toMatchObject({ code: 'EPERM', argument: 'size=99' });
    expect(failureOf(() => memory.write(file, 0n, Buffer.of(1)))).toMatchObject({ code: 'EPERM' });
  });
});

describe('fileFacts', () => {
  it.runIf(canMakeNodes)('says which device a file is, also where its node is on a disk', () => {
    const directory = mkdtempSync(join(tmpdir(), 'luo-node-'));
    const node = join(directory, 'node');
    execFileSync('mknod', [node, 'b', '7', '0']);
    using file = descriptors.takeOwnership(openSync(node, 'r'));
    expect(memory.fileFacts(file).rdev).toBe(statSync(node, { bigint: true }).rdev);
    expect(memory.fileFacts(file).mode & 0o170000).toBe(0o060000);
    rmSync(directory, { recursive: true });
  });

  it('says what fstat says', () => {
    const fd = openSync(import.meta.filename, 'r');
    try {
      const expected = fstatSync(fd, { bigint: true });
      expect(memory.fileFacts(fd)).toEqual({
        dev: expected.dev,
        ino: expected.ino,
        mode: Number(expected.mode),
        nlink: Number(expected.nlink),
        uid: Number(expected.uid),
        gid: Number(expected.gid),
        size: expected.size,
        allocated: expected.blocks * 512n,
        rdev: expected.rdev,
      });
    } finally {
      closeSync(fd);
    }
  });

  it('has room for a size beyond 2^53', () => {
    using file = memory.memfdCreate('vast');
    const size = 2n ** 53n + 4097n;
    memory.truncate(file, size);
    expect(memory.fileFacts(file)).toMatchObject({ size, allocated: 0n });
  });

  it('is EBADF on a closed descriptor', () => {
    const file = memory.memfdCreate('x');
    file.close();
    expect(failureOf(() => memory.fileFacts(file))).toEqual({
      code: 'EBADF',
      errno: 9,
      syscall: 'statx',
      argument: 'file=-1',
    });
  });
});

describe('truncate', () => {
  it('is EINVAL on a socket, which is then at fault', () => {
    const [one, other] = sockets.socketPair();
    expect(failureOf(() => memory.truncate(one, 1n))).toMatchObject({
      code: 'EINVAL',
      syscall: 'ftruncate',
      argument: `file=${one.fd}`,
    });
    one.close();
    other.close();
  });
});

describe('read and write', () => {
  it('move bytes at a position and leave the file’s own alone', () => {
    using file = memory.memfdCreate('x');
    const data = randomBytes(100_000);
    memory.write(file, 1_000_000n, data);
    expect(memory.read(file, 1_000_000n, 200_000)).toEqual(data);
    expect(memory.read(file, 999_990n, 10)).toEqual(Buffer.alloc(10));
    expect(memory.read(file, 2_000_000n, 10)).toEqual(Buffer.alloc(0));
    expect(memory.read(file, 0n, 0)).toEqual(Buffer.alloc(0));
    expect(readFileSync(`/proc/self/fdinfo/${file.fd}`, 'utf8')).toMatch(/^pos:\s*0$/m);
  });

  it('write part of a larger buffer, and nothing', () => {
    using file = memory.memfdCreate('x');
    memory.write(file, 0n, Buffer.from('0123456789').subarray(3, 6));
    memory.write(file, 100n, new Uint8Array(0));
    expect(memory.read(file, 0n, 100).toString()).toBe('345');
  });

  it('fail on a file opened for the other', () => {
    using file = memory.memfdCreate('x');
    const readOnly = openSync(`/proc/self/fd/${file.fd}`, 'r');
    const writeOnly = openSync(`/proc/self/fd/${file.fd}`, 'a');
    expect(failureOf(() => memory.write(readOnly, 0n, Buffer.of(1)))).toMatchObject({
      code: 'EBADF',
      syscall: 'pwrite',
      argument: `file=${readOnly}`,
    });
    expect(failureOf(() => memory.read(writeOnly, 0n, 1))).toMatchObject({ code: 'EBADF', syscall: 'pread' });
    descriptors.close(readOnly);
    descriptors.close(writeOnly);
  });

  it('fail on what has no positions', () => {
    const [one, other] = sockets.socketPair();
    expect(failureOf(() => memory.read(one, 0n, 1))).toMatchObject({ code: 'ESPIPE', errno: 29 });
    one.close();
    other.close();
  });
});
