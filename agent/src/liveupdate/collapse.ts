// SPDX-License-Identifier: Apache-2.0
/**
 * Putting a memory file into huge pages before it is preserved.
 *
 * The kernel hands memory over page by page. In the lab 4 GiB in pages of 4 KiB took 4.2 s in the kexec and 2.1 s to
 * retrieve. In pages of 2 MiB they took 0.36 s and 0.16 s. So the agent collapses the file while the guest runs. That
 * comes first, because preserving pins the pages. They are huge in the next kernel too. Preserving fills every hole with
 * small pages (`memfd_pin_folios`, `mm/gup.c`), so filling them with huge pages takes no more memory.
 *
 * It goes piece by piece, with a pause after each as long as the piece took. So it uses half of one processor at most,
 * and a guest that touches a piece waits for that piece only. Where memory is too fragmented it is given up.
 *
 * It costs time in the blackout if it does not succeed, and nothing else: no failure of the kernel is one of the caller.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Descriptor, Native } from '@luo-console/native';
import { isKernelFailure } from '../host/refusal.ts';
import { saidBy } from '../host/said-by.ts';
import { NotEnded, type Unended } from '../host/unended.ts';

/** A huge page, in bytes. A file that is smaller is left as it is. */
export const hugePageBytes = 2 << 20;

/** Half a second's work under emulation, and a few ms on a processor. */
const pieceBytes = 16 * hugePageBytes;

/** How long one may take, in ms. */
const pieceMs = 30_000;

/** How many pieces in a row may fail: one may be in use just now, but so many say that no huge page is left. */
const failuresInARow = 4;

/** How much of a file is in huge pages. */
export interface Collapsed {
  /** What could be: the whole huge pages of the file, in bytes. */
  readonly bytes: number;
  /** What is, in bytes. */
  readonly hugeBytes: number;
  /** Why that is less, in words; null if it is not. */
  readonly problem: string | null;
}

export interface CollapseOptions {
  /** Ends it after the piece under way. What is done stays so. */
  readonly signal?: AbortSignal;
  /** Told after each piece how many bytes of the file it has been through. */
  readonly onProgress?: (doneBytes: number, bytes: number) => void;
  /** Waits for so many ms, or until the signal is aborted. */
  readonly pause?: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
}

const realPause = async (ms: number, signal: AbortSignal | undefined): Promise<void> => {
  await delay(ms, undefined, signal ? { signal } : {}).catch(() => {});
};

/** A file's size in whole huge pages, in bytes. */
export function wholeHugePages(bytes: number): number {
  return Math.floor(bytes / hugePageBytes) * hugePageBytes;
}

/**
 * Collapses a memory file into huge pages. The file may be in use. It must not be preserved.
 *
 * @returns how far it came, also if the kernel refused or the signal was aborted
 */
export async function collapseMemory(
  { memory, kernel, unended }: Pick<Native, 'memory' | 'kernel'> & { readonly unended: Unended },
  file: Descriptor,
  { signal, onProgress, pause = realPause }: CollapseOptions = {},
): Promise<Collapsed> {
  const bytes = wholeHugePages(Number(memory.fileFacts(file).size));
  let hugeBytes = 0;
  let problem: string | null = null;
  let failures = 0;
  for (let done = 0; done < bytes; ) {
    if (signal?.aborted) return { bytes, hugeBytes, problem: 'it was ended early' };
    const length = Math.min(pieceBytes, bytes - done);
    const startedAt = kernel.clock('monotonic');
    const collapsing = collapsePiece(memory, file, done, length);
    const piece = await collapsedInTime(unended, collapsing, signal);
    if (piece === null) return { bytes, hugeBytes, problem: 'the kernel has not come back from it' };
    hugeBytes += piece.hugeBytes;
    problem = piece.problem ?? problem;
    failures = piece.hugeBytes === 0 ? failures + 1 : 0;
    done += length;
    onProgress?.(done, bytes);
    if (failures === failuresInARow) {
      const rest = done < bytes ? `given up after ${failures} failures in a row: ` : '';
      return { bytes, hugeBytes, problem: `${rest}${problem}` };
    }
    if (done < bytes) await pause(Number(kernel.clock('monotonic') - startedAt) / 1e6, signal);
  }
  return { bytes, hugeBytes, problem };
}

interface Piece {
  readonly hugeBytes: number;
  readonly problem: string | null;
}

/** @returns null if the kernel does not come back in time, or the signal fires */
async function collapsedInTime(
  unended: Unended,
  collapsing: Promise<Piece>,
  signal: AbortSignal | undefined,
): Promise<Piece | null> {
  try {
    const patience = { limitMs: pieceMs, signal, heeds: true };
    return await unended.waitFor('putting memory into huge pages', collapsing, patience);
  } catch (error) {
    if (error instanceof NotEnded || signal?.aborted) return null;
    throw error;
  }
}

async function collapsePiece(
  memory: Native['memory'],
  file: Descriptor,
  offset: number,
  length: number,
): Promise<Piece> {
  try {
    const hugeBytes = await memory.collapse(file, BigInt(offset), length);
    return { hugeBytes, problem: hugeBytes < length ? 'the kernel did not collapse all of it' : null };
  } catch (error) {
    if (!isKernelFailure(error)) throw error;
    return { hugeBytes: 0, problem: saidBy(error) };
  }
}
