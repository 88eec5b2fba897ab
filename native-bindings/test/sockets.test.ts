// SPDX-License-Identifier: Apache-2.0
/** Unix sockets: listening, connecting, descriptors beside bytes, credentials. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Descriptor, memory, sockets } from '../src/index.ts';
import { failureOf, rejectionOf } from './failures.ts';

/** Connects as another user with the given groups, and stays until its input ends. */
const clientProgram = `
import json, os, socket, sys
connected = socket.socket(socket.AF_UNIX)
os.chdir(os.path.dirname(sys.argv[1]))
os.setgroups(json.loads(sys.argv[2]))
os.setgid(4243)
os.setuid(4242)
connected.connect(os.path.basename(sys.argv[1]))
print("connected", flush=True)
sys.stdin.read()
`;

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'luo-sockets-'));
  path = join(directory, 's');
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('listening and connecting', () => {
  it('make two ends that carry bytes both ways', () => {
    using listening = sockets.listenUnix(path);
    expect(sockets.accept(listening)).toBeNull();
    using client = sockets.connectUnix(path);
    using server = sockets.accept(listening);
    if (server === null) throw new Error('nobody to accept');
    expect(sockets.send(client, Buffer.from('there'))).toBe(5);
    expect(sockets.send(server, Buffer.from('back'))).toBe(4);
    expect(sockets.receive(server)?.data.toString()).toBe('there');
    expect(sockets.receive(client)?.data.toString()).toBe('back');
  });

  it.each([0o600, 0o660, 0o666, 0o777])('sets the mode to %o whatever the umask', (mode) => {
    const umask = process.umask(0o077);
    try {
      using _listening = sockets.listenUnix(path, { mode });
      expect(statSync(path).mode & 0o777).toBe(mode);
    } finally {
      process.umask(umask);
    }
  });

  it('refuse a path that exists', () => {
    writeFileSync(path, '');
    expect(failureOf(() => sockets.listenUnix(path))).toEqual({
      code: 'EADDRINUSE',
      errno: 98,
      syscall: 'bind',
      argument: `path="${path}"`,
    });
  });

  it('refuse a path in a directory that does not exist', () => {
    expect(failureOf(() => sockets.listenUnix(join(directory, 'no', 's')))).toMatchObject({ code: 'ENOENT' });
  });

  it('say why nobody could be reached', () => {
    expect(failureOf(() => sockets.connectUnix(path))).toMatchObject({ code: 'ENOENT', syscall: 'connect' });
    sockets.listenUnix(path).close();
    expect(failureOf(() => sockets.connectUnix(path))).toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('is EAGAIN once the backlog is full', () => {
    using _listening = sockets.listenUnix(path, { backlog: 0 });
    using _first = sockets.connectUnix(path);
    expect(failureOf(() => sockets.connectUnix(path))).toMatchObject({ code: 'EAGAIN', syscall: 'connect' });
  });

  it('take a path of 107 bytes and no longer', () => {
    const longest = join(directory, 'p'.repeat(107 - directory.length - 1));
    sockets.listenUnix(longest).close();
    expect(() => sockets.listenUnix(`${longest}p`)).toThrow(
      /^path must be at most 107 bytes of UTF-8, not 108/,
    );
    expect(() => sockets.connectUnix('')).toThrow('path must not be empty');
  });

  it('fail on what is no socket', () => {
    using file = memory.memfdCreate('x');
    const argument = `socket=${file.fd}`;
    expect(failureOf(() => sockets.accept(file))).toMatchObject({ code: 'ENOTSOCK', syscall: 'accept4' });
    expect(failureOf(() => sockets.receive(file))).toMatchObject({ code: 'ENOTSOCK', argument });
    expect(failureOf(() => sockets.send(file, Buffer.of(1)))).toMatchObject({ code: 'ENOTSOCK', argument });
    expect(failureOf(() => sockets.shutdownWrite(file))).toMatchObject({ code: 'ENOTSOCK', argument });
    expect(failureOf(() => sockets.shutdown(file))).toMatchObject({ code: 'ENOTSOCK', argument });
    expect(failureOf(() => sockets.peerCredentials(file))).toMatchObject({ code: 'ENOTSOCK', argument });
  });
});

describe('receive and send', () => {
  it('show what waits without taking it, with further copies of the descriptors each time', () => {
    const [one, other] = sockets.socketPair();
    expect(sockets.peek(one)).toBeNull();
    using file = memory.memfdCreate('shown');
    sockets.send(other, Buffer.from('x'), [file]);
    other.close();
    for (const look of [sockets.peek, sockets.peek, sockets.receive]) {
      const found = look(one);
      expect(found).toMatchObject({ data: Buffer.from('x'), truncated: false });
      expect(found?.descriptors).toHaveLength(1);
      for (const each of found?.descriptors ?? []) {
        expect(memory.fileFacts(each).ino).toBe(memory.fileFacts(file).ino);
        each.close();
      }
    }
    expect(sockets.receive(one)?.data).toHaveLength(0);
    one.close();
  });

  it('tell nothing there, end of stream and a closed peer apart', () => {
    const [one, other] = sockets.socketPair();
    expect(sockets.receive(one)).toBeNull();
    sockets.send(other, Buffer.from('last'));
    sockets.shutdownWrite(other);
    expect(sockets.receive(one)?.data.toString()).toBe('last');
    expect(sockets.receive(one)).toEqual({ data: Buffer.alloc(0), descriptors: [], truncated: false });
    expect(sockets.send(one, Buffer.from('still open this way'))).toBe(19);
    other.close();
    expect(failureOf(() => sockets.send(one, Buffer.of(1)))).toEqual({
      code: 'EPIPE',
      errno: 32,
      syscall: 'sendmsg',
      argument: `socket=${one.fd}`,
    });
    one.close();
  });

  it('tell the end of what was shut down, also while it is open', async () => {
    const [one, other] = sockets.socketPair();
    sockets.send(one, Buffer.from('last'));
    sockets.shutdown(one);
    expect(sockets.receive(other)?.data.toString()).toBe('last');
    expect(sockets.receive(other)?.data).toHaveLength(0);
    expect(failureOf(() => sockets.send(other, Buffer.of(1)))).toMatchObject({ code: 'EPIPE' });
    // What QEMU waits for.
    await new Promise<void>((resolve) => {
      const poll = sockets.poll(other);
      poll.start(sockets.POLL_DISCONNECT, () => {
        poll.close();
        resolve();
      });
    });
    one.close();
    other.close();
  });

  it('take what fits and then nothing until the reader reads', () => {
    const [one, other] = sockets.socketPair();
    const data = Buffer.alloc(1 << 16, 'x');
    let taken = 0;
    for (let sent = sockets.send(one, data); sent !== null; sent = sockets.send(one, data)) taken += sent;
    let read = 0;
    for (let got = sockets.receive(other); got !== null; got = sockets.receive(other))
      read += got.data.length;
    expect(read).toBe(taken);
    expect(taken).toBeGreaterThan(data.length);
    one.close();
    other.close();
  });

  it('read at most what was asked for', () => {
    const [one, other] = sockets.socketPair();
    sockets.send(one, Buffer.from('abcdef'));
    expect(sockets.receive(other, 4)?.data.toString()).toBe('abcd');
    expect(sockets.receive(other, 4)?.data.toString()).toBe('ef');
    one.close();
    other.close();
  });

  it('pass descriptors with the bytes they were sent with', () => {
    const [one, other] = sockets.socketPair();
    using first = memory.memfdCreate('first');
    using second = memory.memfdCreate('second');
    sockets.send(one, Buffer.from('plain'));
    sockets.send(one, Buffer.from('A'), [first]);
    sockets.send(one, Buffer.from('BC'), [second, first.fd]);
    const inodes: bigint[][] = [];
    const texts: string[] = [];
    for (let got = sockets.receive(other); got !== null; got = sockets.receive(other)) {
      texts.push(got.data.toString());
      inodes.push(got.descriptors.map((descriptor) => memory.fileFacts(descriptor).ino));
      for (const descriptor of got.descriptors) descriptor.close();
    }
    const { ino: inodeOfFirst } = memory.fileFacts(first);
    const { ino: inodeOfSecond } = memory.fileFacts(second);
    expect(texts.join('')).toBe('plainABC');
    expect(inodes.flat()).toEqual([inodeOfFirst, inodeOfSecond, inodeOfFirst]);
    expect(inodes.at(-1)).toHaveLength(2);
    one.close();
    other.close();
  });

  it('carry 253 descriptors at once and refuse more', () => {
    const [one, other] = sockets.socketPair();
    using file = memory.memfdCreate('x');
    const many = new Array<typeof file>(253).fill(file);
    expect(sockets.send(one, Buffer.of(1), many)).toBe(1);
    const received = sockets.receive(other);
    expect(received?.truncated).toBe(false);
    expect(received?.descriptors).toHaveLength(253);
    for (const descriptor of received?.descriptors ?? []) descriptor.close();
    expect(() => sockets.send(one, Buffer.of(1), [...many, file])).toThrow(
      'descriptors must hold at most 253 descriptors, not 254',
    );
    one.close();
    other.close();
  });

  it('need a byte to carry descriptors', () => {
    const [one, other] = sockets.socketPair();
    expect(() => sockets.send(one, Buffer.alloc(0), [one])).toThrow(
      'data must hold at least one byte to carry descriptors, not 0',
    );
    expect(sockets.send(one, Buffer.alloc(0))).toBe(0);
    one.close();
    other.close();
  });

  it('name the descriptor that is not open', () => {
    const [one, other] = sockets.socketPair();
    expect(failureOf(() => sockets.send(one, Buffer.of(1), [other, 999_999]))).toEqual({
      code: 'EBADF',
      errno: 9,
      syscall: 'sendmsg',
      argument: 'descriptors=999999',
    });
    one.close();
    expect(failureOf(() => sockets.send(one, Buffer.of(1), [other]))).toMatchObject({
      argument: 'socket=-1',
    });
    other.close();
  });
});

describe('record', () => {
  /** Sends all of it, as fast as it is taken. */
  const sendAll = async (socket: Descriptor, data: Buffer): Promise<void> => {
    for (let at = 0; at < data.length; ) {
      at += sockets.send(socket, data.subarray(at)) ?? 0;
      await setImmediate();
    }
  };

  it('puts what comes into a file, to the end of the stream', async () => {
    using file = memory.memfdCreate('state');
    memory.write(file, 0n, Buffer.from('before, and behind'));
    const [one, other] = sockets.socketPair();
    const data = Buffer.alloc(3 * 2 ** 20 + 17, 'state ');
    const recording = sockets.record(other, file, 6n, BigInt(data.length));
    await sendAll(one, data);
    sockets.shutdownWrite(one);
    expect(await recording).toBe(data.length);
    expect(memory.read(file, 0n, 6).toString()).toBe('before');
    expect(memory.read(file, 6n, data.length).equals(data)).toBe(true);
    one.close();
    other.close();
  });

  it('ends when the socket is shut down, and is no longer waited for', async () => {
    using file = memory.memfdCreate('state');
    const [one, other] = sockets.socketPair();
    const recording = sockets.record(other, file, 0n, 100n);
    await sendAll(one, Buffer.from('some'));
    sockets.shutdown(other);
    expect(await recording).toBeLessThanOrEqual(4);
    one.close();
    other.close();
  });

  it('takes no more than it may, says so, and leaves the rest in the socket', async () => {
    using file = memory.memfdCreate('state');
    const [one, other] = sockets.socketPair();
    await sendAll(one, Buffer.from('five!'));
    const refused = await rejectionOf(sockets.record(other, file, 0n, 4n));
    expect(refused).toEqual({ code: 'EFBIG', errno: 27, syscall: 'recv', argument: 'most=4' });
    sockets.shutdownWrite(one);
    expect(await sockets.record(other, file, 4n, 1n)).toBe(1);
    expect(memory.read(file, 0n, 9).toString()).toBe('five!');
    one.close();
    other.close();
  });

  it('may record as much as comes, and nothing at all', async () => {
    using file = memory.memfdCreate('state');
    const [one, other] = sockets.socketPair();
    await sendAll(one, Buffer.from('five!'));
    sockets.shutdownWrite(one);
    expect(await sockets.record(other, file, 0n, 5n)).toBe(5);
    expect(await sockets.record(other, file, 0n, 0n)).toBe(0);
    one.close();
    other.close();
  });

  it('waits for the process that is to connect, and closes what others connect', async () => {
    using listening = sockets.listenUnix(path);
    using file = memory.memfdCreate('state');
    const recording = sockets.recordFrom(listening, process.pid, file, 1n, 100n);
    // Another process, which waits until its connection is closed.
    const stranger = 'require("net").connect(process.argv[1]).on("close", () => process.exit())';
    expect(spawnSync(process.execPath, ['-e', stranger, path], { timeout: 20_000 }).status).toBe(0);
    using one = sockets.connectUnix(path);
    await sendAll(one, Buffer.from('state'));
    sockets.shutdownWrite(one);
    expect(await recording).toEqual({ bytes: 5, endedAgoUs: expect.any(Number), rest: null });
    expect(memory.read(file, 0n, 6).toString()).toBe('\0state');
  });

  it('tells how long the event loop was too late to hear of its end', async () => {
    using listening = sockets.listenUnix(path);
    using file = memory.memfdCreate('state');
    const recording = sockets.recordFrom(listening, process.pid, file, 0n, 100n);
    using one = sockets.connectUnix(path);
    await sendAll(one, Buffer.from('state'));
    const before = performance.now();
    sockets.shutdownWrite(one);
    // The loop has no turn meanwhile.
    while (performance.now() - before < 20);
    const { endedAgoUs } = await recording;
    expect(endedAgoUs).toBeGreaterThan(0);
    expect(endedAgoUs).toBeLessThan(1000 * (performance.now() - before));
  });

  it('hands on the connection of which more comes than may be recorded', async () => {
    using listening = sockets.listenUnix(path);
    using file = memory.memfdCreate('state');
    using one = sockets.connectUnix(path);
    await sendAll(one, Buffer.from('five!'));
    sockets.shutdownWrite(one);
    const { bytes, rest } = await sockets.recordFrom(listening, process.pid, file, 0n, 4n);
    expect(bytes).toBe(4);
    expect(rest).not.toBeNull();
    if (rest) expect(await sockets.record(rest, file, 4n, 1n)).toBe(1);
    rest?.close();
    expect(memory.read(file, 0n, 5).toString()).toBe('five!');
  });

  it('ends its wait when the listening socket is shut down, before and after the connection', async () => {
    using file = memory.memfdCreate('state');
    for (const sent of ['', 'some']) {
      const own = join(directory, `of-${sent}`);
      using listening = sockets.listenUnix(own);
      const recording = sockets.recordFrom(listening, process.pid, file, 0n, 100n);
      using one = sent === '' ? null : sockets.connectUnix(own);
      if (one) await sendAll(one, Buffer.from(sent));
      sockets.shutdown(listening);
      const { bytes, rest } = await recording;
      expect(bytes).toBeLessThanOrEqual(sent.length);
      expect(rest).toBeNull();
      expect(() => sockets.connectUnix(own)).toThrow('ECONNREFUSED');
    }
  });

  it('says what the kernel says, and of which descriptor', async () => {
    using file = memory.memfdCreate('state');
    const [one, other] = sockets.socketPair();
    const notSocket = await rejectionOf(sockets.record(file, file, 0n, 1n));
    expect(notSocket).toMatchObject({ code: 'ENOTSOCK', syscall: 'recv', argument: `socket=${file.fd}` });
    await sendAll(one, Buffer.of(1));
    const notFile = await rejectionOf(sockets.record(other, other, 0n, 1n));
    expect(notFile).toMatchObject({ code: 'ESPIPE', syscall: 'pwrite', argument: `file=${other.fd}` });
    one.close();
    const closed = await rejectionOf(sockets.record(one, file, 0n, 1n));
    expect(closed).toMatchObject({ code: 'EBADF', argument: 'socket=-1' });
    other.close();
  });
});

describe('peerCredentials', () => {
  it('are this process’s own at both ends of a pair', () => {
    const [one, other] = sockets.socketPair();
    const { pid } = process;
    const [uid, gid] = [process.geteuid?.(), process.getegid?.()];
    expect(sockets.peerCredentials(one)).toMatchObject({ pid, uid, gid });
    const own = new Set(process.getgroups?.() ?? []);
    for (const group of sockets.peerCredentials(one).groups) expect(own).toContain(group);
    one.close();
    other.close();
  });

  it.runIf(process.geteuid?.() === 0)(
    'are the other process’s, with more groups than fit at first',
    async () => {
      using listening = sockets.listenUnix(path, { mode: 0o666 });
      chmodSync(directory, 0o711);
      const groups = Array.from({ length: 100 }, (_, index) => 5000 + index);
      const client = spawn('python3', ['-c', clientProgram, path, JSON.stringify(groups)], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      await once(client.stdout, 'data');
      using server = sockets.accept(listening);
      if (server === null) throw new Error('nobody to accept');
      expect(sockets.peerCredentials(server)).toEqual({ pid: client.pid, uid: 4242, gid: 4243, groups });
      client.stdin.end();
      await once(client, 'exit');
    },
  );
});
