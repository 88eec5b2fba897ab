// SPDX-License-Identifier: Apache-2.0
/** The file of a state: preserved before anything is in it, with a size that is fixed then, and what does not fit. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Descriptor, type Native, native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Unended } from '../host/unended.ts';
import { bytesBehindState } from './restart-mark.ts';
import { StateFile, type StateFileOptions } from './state-file.ts';

/** `F_SEAL_SHRINK | F_SEAL_GROW` (fcntl(2)): what the kernel refuses of a preserved file, for good. */
const sizeIsFixed = 0x2 | 0x4;

const expectedBytes = 128 * 1024;
const place = { session: 'luo-console', token: '0x1' };

/** As the kernel's, with files that can be sealed. */
const sealable: Native = {
  ...native,
  memory: {
    ...native.memory,
    memfdCreate: (name) => native.memory.memfdCreate(name, { allowSealing: true }),
  },
};

let preserved: { ino: bigint; size: bigint }[];
let directory: string;
let listening: Descriptor;
let theirs: Descriptor;
beforeEach(() => {
  preserved = [];
  directory = mkdtempSync(join(tmpdir(), 'luo-state-file-'));
  listening = native.sockets.listenUnix(join(directory, 'main'));
  theirs = native.sockets.connectUnix(join(directory, 'main'));
});
afterEach(() => {
  listening.close();
  theirs.close();
  rmSync(directory, { recursive: true });
});

const preserve: StateFileOptions['preserve'] = async (file) => {
  native.memory.addSeals(file, sizeIsFixed);
  const { ino, size } = native.memory.fileFacts(file);
  preserved.push({ ino, size });
  return place;
};

const make = (more: Partial<StateFileOptions> = {}): Promise<StateFile> =>
  StateFile.make({
    ...{ native: sealable, unended: new Unended(() => {}), directory, expectedBytes, preserve },
    signal: AbortSignal.timeout(5000),
    ...more,
  });

/** Bytes of which no piece is like another. */
const someBytes = (length: number): Buffer =>
  Buffer.from(Uint32Array.from({ length: length / 4 }, (_, index) => index).buffer);

/** Sends all of it, as a VMM does, and ends. */
async function send(data: Buffer): Promise<void> {
  for (let at = 0; at < data.length; ) {
    const sent = native.sockets.send(theirs, data.subarray(at, at + 65_536));
    if (sent === null) await new Promise((resolve) => setImmediate(resolve));
    else at += sent;
  }
  native.sockets.shutdownWrite(theirs);
}

const from = () => ({ listening, pid: process.pid });
const signal = (): AbortSignal => AbortSignal.timeout(5000);

async function recorded(state: StateFile, data: Buffer): Promise<number> {
  const [{ bytes }] = await Promise.all([state.record(from(), signal()), send(data)]);
  return bytes;
}

const contentOf = ({ file }: StateFile, bytes: number): Buffer => native.memory.read(file, 0n, bytes);

describe('a state', () => {
  it('is recorded in a file that was preserved with room for it, and its size stays', async () => {
    using state = await make();
    expect(preserved).toMatchObject([{ size: BigInt(expectedBytes + bytesBehindState) }]);
    state.write(Buffer.from('descriptors'));
    expect(await recorded(state, someBytes(1000))).toBe(1000);
    await state.trim(signal());
    expect(state.place).toEqual(place);
    const { ino, size } = native.memory.fileFacts(state.file);
    expect([{ ino, size }]).toEqual(preserved);
    const whole = Buffer.concat([
      Buffer.from('descriptors'),
      someBytes(1000),
      Buffer.alloc(bytesBehindState),
    ]);
    expect(contentOf(state, whole.length).equals(whole)).toBe(true);
  });

  it('may need all of the room, and the marks behind it have theirs', async () => {
    using state = await make();
    expect(await recorded(state, someBytes(expectedBytes))).toBe(expectedBytes);
    expect(state.place).toEqual(place);
    native.memory.write(state.file, BigInt(expectedBytes), Buffer.alloc(bytesBehindState, 1));
    expect(() =>
      native.memory.write(state.file, BigInt(expectedBytes + bytesBehindState), Buffer.of(1)),
    ).toThrow('EPERM');
  });

  it('that does not fit goes on in another file, which is left to be preserved', async () => {
    using state = await make();
    state.write(Buffer.from('descriptors'));
    const data = someBytes(4 * expectedBytes);
    expect(await recorded(state, data)).toBe(data.length);
    expect(state.place).toBeNull();
    expect(native.memory.fileFacts(state.file).ino).not.toBe(preserved[0]?.ino);
    await state.trim(signal());
    const whole = Buffer.concat([Buffer.from('descriptors'), data, Buffer.alloc(bytesBehindState)]);
    expect(native.memory.fileFacts(state.file).size).toBe(BigInt(whole.length));
    expect(contentOf(state, whole.length).equals(whole)).toBe(true);
    expect(preserved).toHaveLength(1);
  });

  it('whose descriptors alone do not fit is recorded in another file as well', async () => {
    using state = await make();
    const descriptors = someBytes(expectedBytes + 4);
    state.write(descriptors);
    expect(state.place).toBeNull();
    expect(await recorded(state, someBytes(8))).toBe(8);
    const whole = Buffer.concat([descriptors, someBytes(8)]);
    expect(state.bytes).toBe(whole.length);
    expect(contentOf(state, whole.length).equals(whole)).toBe(true);
  });

  it('with memory in it is not preserved before, and pages that it does not need are given back', async () => {
    using state = await make({ preserve: null });
    expect(await recorded(state, someBytes(1000))).toBe(1000);
    await state.trim(signal());
    expect(state.place).toBeNull();
    expect(native.memory.fileFacts(state.file).size).toBe(BigInt(1000 + bytesBehindState));
    expect(preserved).toEqual([]);
  });

  it('gives back much in pieces, and stops with the update', async () => {
    const mebibyte = 1024 * 1024;
    const sizes: bigint[] = [];
    const truncate: Native['memory']['truncate'] = (file, size) => {
      sizes.push(size);
      sealable.memory.truncate(file, size);
    };
    const native = { ...sealable, memory: { ...sealable.memory, truncate } };
    using state = await make({ native, preserve: null });
    // As if the pages for so much memory had been made.
    sealable.memory.truncate(state.file, BigInt(200 * mebibyte));
    expect(await recorded(state, someBytes(1000))).toBe(1000);
    sizes.length = 0;
    const abort = new AbortController();
    const trimming = state.trim(abort.signal);
    expect(sizes).toEqual([BigInt(136 * mebibyte)]);
    abort.abort(new Error('called off'));
    await expect(trimming).rejects.toThrow('called off');
    await state.trim(signal());
    expect(sizes.at(-1)).toBe(BigInt(1000 + bytesBehindState));
    expect(sizes).toHaveLength(4);
  });

  it('whose file cannot be warmed up is not made, and no thread goes on waiting', async () => {
    const shut: unknown[] = [];
    const sockets: Native['sockets'] = {
      ...sealable.sockets,
      connectUnix: () => {
        throw new Error('EMFILE');
      },
      shutdown: (socket) => {
        shut.push(socket);
        sealable.sockets.shutdown(socket);
      },
    };
    await expect(make({ native: { ...sealable, sockets } })).rejects.toThrow('EMFILE');
    expect(shut).toHaveLength(1);
  });

  it('whose file cannot be preserved leaves none open', async () => {
    const files: Descriptor[] = [];
    const refused = make({
      preserve: async (file) => {
        files.push(file);
        throw new Error('no memory');
      },
    });
    await expect(refused).rejects.toThrow('no memory');
    expect(files.map(({ closed }) => closed)).toEqual([true]);
  });

  it('for which another file has no room is not taken to be recorded', async () => {
    let made = 0;
    const memfdCreate: Native['memory']['memfdCreate'] = (name) => {
      made += 1;
      if (made > 1) throw new Error('no memory');
      return sealable.memory.memfdCreate(name);
    };
    using state = await make({ native: { ...sealable, memory: { ...sealable.memory, memfdCreate } } });
    const refused = expect(state.record(from(), signal())).rejects.toThrow('no memory');
    await send(someBytes(expectedBytes + 4));
    await refused;
  });

  it('is not waited for once the signal has fired', async () => {
    using state = await make();
    const over = new AbortController();
    const recording = expect(state.record(from(), over.signal)).rejects.toThrow('called for');
    native.sockets.send(theirs, Buffer.from('some'));
    over.abort(new Error('called for'));
    await recording;
  });
});
