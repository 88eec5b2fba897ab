// SPDX-License-Identifier: Apache-2.0
/** QEMU's migration streams as far as they are read: descriptors by name, and device state. */
import { fstatSync, readdirSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { type Descriptor, native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { whenReady } from '../host/waiting.ts';
import { closePieces, mostPieces, recordPieces, recordStream } from './streams.ts';

const { sockets, memory } = native;

let ours: Descriptor;
let theirs: Descriptor;
const signal = (): AbortSignal => AbortSignal.timeout(5000);

beforeEach(() => {
  [ours, theirs] = sockets.socketPair();
});
afterEach(() => {
  ours.close();
  theirs.close();
});

/** A memfd with some text in it. */
function memfd(text: string): Descriptor {
  const file = memory.memfdCreate('piece');
  memory.write(file, 0n, Buffer.from(text));
  return file;
}

describe('a CPR stream', () => {
  it('is recorded in pieces with their descriptors, at the boundaries at which they came', async () => {
    using one = memfd('one');
    using two = memfd('two');
    sockets.send(theirs, Buffer.from('QCPR\0\0\0\u0001first'), [one]);
    sockets.send(theirs, Buffer.from('second'), [two]);
    sockets.send(theirs, Buffer.from('end'));
    sockets.shutdownWrite(theirs);
    const pieces = await recordPieces(sockets, ours, signal());
    expect(pieces.map(({ data, descriptors }) => [data.length, descriptors.length])).toEqual([
      [13, 1],
      [6, 1],
      [3, 0],
    ]);
    const inodes = pieces.flatMap(({ descriptors }) => descriptors.map(({ fd }) => fstatSync(fd).ino));
    expect(inodes).toEqual([fstatSync(one.fd).ino, fstatSync(two.fd).ino]);
    closePieces(pieces);
  });

  it('that begins otherwise is refused, and its descriptors are closed', async () => {
    using file = memfd('x');
    sockets.send(theirs, Buffer.from('QEVM....'), [file]);
    sockets.shutdownWrite(theirs);
    await expect(recordPieces(sockets, ours, signal())).rejects.toThrow(
      'a CPR stream begins with QCPR, this one with "QEVM"',
    );
  });

  it.each([
    ['pieces', mostPieces, 0],
    ['descriptors', 3, 253],
  ] as const)(
    'with more %s than a record has room for is refused, and all are closed',
    async (what, count, beside) => {
      using file = memfd('x');
      const open = readdirSync('/proc/self/fd').length;
      sockets.send(theirs, Buffer.from('QCPR\0\0\0\u0001'));
      // Each is taken before the next is sent: a stream has no boundaries but those.
      const recording = recordPieces(sockets, ours, signal());
      recording.catch(() => {});
      for (let at = 0; at < count; at += 1) {
        sockets.send(
          theirs,
          Buffer.from('x'),
          Array.from({ length: beside }, () => file),
        );
        await setImmediate();
      }
      await expect(recording).rejects.toThrow(new RegExp(`^a CPR stream (of|with) over 512 ${what}$`));
      // Files of others are closed on threads.
      await vi.waitFor(() => expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(open + 1));
    },
  );

  it('without an end is given up when the signal fires', async () => {
    sockets.send(theirs, Buffer.from('QCPR\0\0\0\u0001'));
    const over = new AbortController();
    const recording = recordPieces(sockets, ours, over.signal);
    over.abort(new Error('too long'));
    await expect(recording).rejects.toThrow('too long');
  });
});

describe('a device state', () => {
  it('of several MiB goes into a file behind what is there', async () => {
    const state = Buffer.alloc(3 * 1024 * 1024 + 17, 'state ');
    using file = memfd('before');
    const sending = (async () => {
      for (let at = 0; at < state.length; ) {
        const sent = sockets.send(theirs, state.subarray(at));
        if (sent === null) await whenReady(sockets, theirs, sockets.POLL_WRITABLE, signal());
        else at += sent;
      }
      sockets.shutdownWrite(theirs);
    })();
    const into = { file, offset: 6, most: state.length };
    expect(await recordStream(sockets, ours, into, signal())).toBe(state.length);
    await sending;
    expect(memory.read(file, 0n, 6).toString()).toBe('before');
    expect(memory.read(file, 6n, state.length).equals(state)).toBe(true);
  });

  it('that does not end is given up when the signal fires, though something has come', async () => {
    using file = memfd('');
    sockets.send(theirs, Buffer.from('some state'));
    const over = new AbortController();
    const recording = recordStream(sockets, ours, { file, offset: 0, most: 100 }, over.signal);
    over.abort(new Error('too long'));
    await expect(recording).rejects.toThrow('too long');
    // One that is given up already is not begun.
    using other = memfd('');
    const late = recordStream(sockets, theirs, { file: other, offset: 0, most: 100 }, over.signal);
    await expect(late).rejects.toThrow('too long');
  });

  it('is given up when the signal fires, though the thread that records it does not come back', async () => {
    using file = memfd('');
    const over = new AbortController();
    const stuck = { ...sockets, record: () => new Promise<number>(() => {}) };
    const recording = recordStream(stuck, ours, { file, offset: 0, most: 100 }, over.signal);
    over.abort(new Error('too long'));
    await expect(recording).rejects.toThrow('too long');
  });

  it('that is longer than it may be is refused', async () => {
    using file = memfd('');
    sockets.send(theirs, Buffer.from('some state'));
    const recording = recordStream(sockets, ours, { file, offset: 0, most: 9 }, signal());
    await expect(recording).rejects.toMatchObject({ code: 'EFBIG' });
  });
});
