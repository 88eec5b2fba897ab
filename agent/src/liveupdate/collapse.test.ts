// SPDX-License-Identifier: Apache-2.0
/** Putting a file into huge pages piece by piece: pauses, giving up, an abort. The last test asks the real kernel. */
import { type Descriptor, type Memory, native } from '@luo-console/native';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Unended } from '../host/unended.ts';
import { type Collapsed, type CollapseOptions, collapseMemory } from './collapse.ts';

const mebibyte = 1 << 20;

let file: Descriptor;
/** What happened, in order: pieces by offset and length in MiB, and pauses in ms. */
let happened: string[];
/** The kernel's clock, in ns: it moves on while a piece is collapsed. */
let clock: bigint;

beforeEach(() => {
  file = native.memory.memfdCreate('guest');
  happened = [];
  clock = 0n;
});
afterEach(() => file.close());

const unended = new Unended(() => {});
const kernelSays = (code: string): Error =>
  Object.assign(new Error(`${code}, madvise(MADV_COLLAPSE)`), { code, errno: 1, syscall: 'madvise' });

/** Collapses a file of so many MiB. `kernel` says what becomes of each piece; it takes 7 ms. */
async function collapse(
  mib: number,
  kernel: (piece: number, bytes: number) => number | Error = (_piece, bytes) => bytes,
  options: CollapseOptions = {},
): Promise<Collapsed> {
  native.memory.truncate(file, BigInt(mib * mebibyte));
  let pieces = 0;
  const collapsePiece: Memory['collapse'] = async (_file, offset, bytes) => {
    happened.push(`${Number(offset) / mebibyte}+${bytes / mebibyte}`);
    clock += 7_000_000n;
    const answer = kernel(pieces++, bytes);
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const made = {
    memory: { ...native.memory, collapse: collapsePiece },
    kernel: { ...native.kernel, clock: () => clock },
    unended,
  };
  const pause = async (ms: number): Promise<void> => {
    happened.push(`pause ${ms}`);
  };
  return await collapseMemory(made, file, { pause, ...options });
}

describe('a file is put into huge pages', () => {
  it('piece by piece, with a pause between two as long as the first took', async () => {
    const told: number[] = [];
    const onProgress = (done: number, bytes: number) => void told.push(done / mebibyte, bytes / mebibyte);
    expect(await collapse(80, undefined, { onProgress })).toEqual({
      ...{ bytes: 80 * mebibyte, hugeBytes: 80 * mebibyte, problem: null },
    });
    expect(happened).toEqual(['0+32', 'pause 7', '32+32', 'pause 7', '64+16']);
    expect(told).toEqual([32, 80, 64, 80, 80, 80]);
  });

  it.each([
    { mib: 0, pieces: [], bytes: 0 },
    { mib: 1, pieces: [], bytes: 0 },
    { mib: 2, pieces: ['0+2'], bytes: 2 },
    { mib: 5, pieces: ['0+4'], bytes: 4 },
  ])('as far as it consists of whole ones: of $mib MiB $bytes', async ({ mib, pieces, bytes }) => {
    expect(await collapse(mib)).toMatchObject({ bytes: bytes * mebibyte, problem: null });
    expect(happened).toEqual(pieces);
  });

  it('with gaps where the kernel refuses now and then, which it says', async () => {
    const refused = kernelSays('EAGAIN');
    const result = await collapse(10 * 32, (piece, bytes) => (piece % 2 === 0 ? refused : bytes));
    expect(result).toEqual({
      ...{ bytes: 320 * mebibyte, hugeBytes: 160 * mebibyte, problem: refused.message },
    });
  });

  it('in part where only part of a piece could be, which it says', async () => {
    const result = await collapse(64, (piece, bytes) => (piece === 0 ? bytes - 2 * mebibyte : bytes));
    expect(result).toMatchObject({ hugeBytes: 62 * mebibyte, problem: expect.stringContaining('not') });
  });

  it('no further once four pieces in a row have failed: memory is too fragmented', async () => {
    const result = await collapse(320, (piece, bytes) => (piece === 0 ? bytes : kernelSays('ENOMEM')));
    expect(result).toMatchObject({
      ...{ bytes: 320 * mebibyte, hugeBytes: 32 * mebibyte },
      problem: 'given up after 4 failures in a row: ENOMEM, madvise(MADV_COLLAPSE)',
    });
    expect(happened.filter((each) => !each.startsWith('pause'))).toEqual([
      ...['0+32', '32+32', '64+32', '96+32', '128+32'],
    ]);
  });

  it('no further once the signal is aborted, without another pause', async () => {
    const aborting = new AbortController();
    const pause = async (_ms: number, signal: AbortSignal | undefined): Promise<void> => {
      expect(signal).toBe(aborting.signal);
      aborting.abort();
    };
    const result = await collapse(96, undefined, { pause, signal: aborting.signal });
    expect(result).toEqual({
      ...{ bytes: 96 * mebibyte, hugeBytes: 32 * mebibyte, problem: 'it was ended early' },
    });
    expect(happened).toEqual(['0+32']);
  });

  it('not at all where an error is no answer of the kernel: that is a fault of the agent', async () => {
    await expect(collapse(64, () => new TypeError('a fault'))).rejects.toThrow('a fault');
  });

  it('by the kernel that runs here', async () => {
    native.memory.truncate(file, BigInt(70 * mebibyte));
    native.memory.write(file, BigInt(41 * mebibyte), Buffer.from('contents'));
    expect(await collapseMemory({ ...native, unended }, file)).toEqual({
      ...{ bytes: 70 * mebibyte, hugeBytes: 70 * mebibyte, problem: null },
    });
    expect(await native.memory.hugeBytes(file)).toBe(BigInt(70 * mebibyte));
    expect(native.memory.read(file, BigInt(41 * mebibyte), 8).toString()).toBe('contents');
  });
});
