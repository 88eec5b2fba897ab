// SPDX-License-Identifier: Apache-2.0
/** A copy of a file on disk in memory that can be preserved. */
import type { FileHandle } from 'node:fs/promises';
import type { Descriptor, Native } from '@luo-console/native';
import { counted, inMebibytes } from '../host/plain-words.ts';
import { isKernelFailure, Refusal } from '../host/refusal.ts';
import { openRegularFile } from '../host/regular-file.ts';

const pieceBytes = 1024 * 1024;
/** Memory to leave to the rest of the host when copying a file, in bytes. */
const spareBytes = 64 * 1024 * 1024;

/**
 * A memfd with the contents of a file. The agent reads it with its own rights, so the file is opened with care
 * (`regular-file.ts`), and not through a symbolic link, so that nobody can point the agent elsewhere by replacing
 * one. It must fit into the memory that is free now.
 *
 * @param free memory that is available on the host, in bytes; null if that cannot be read.
 * @param signal stops the copying: the caller is gone.
 * @throws Refusal FileUnusable; the signal's reason.
 */
export async function copyIntoMemory(
  native: Native,
  free: number | null,
  path: string,
  signal: AbortSignal,
): Promise<Descriptor> {
  const refuse = (errno: string, reason: string): never => {
    throw new Refusal('FileUnusable', { path, errno, reason });
  };
  await using file = await openRegularFile(path, 'refuse');
  const { size } = await file.stat();
  if (size === 0) return refuse('EINVAL', 'it is empty, so there is nothing to preserve');
  if (free !== null && size > free - spareBytes) {
    const need = `it needs ${inMebibytes(size)} of memory`;
    return refuse(
      'ENOMEM',
      `${need}; ${inMebibytes(free)} are free, of which ${inMebibytes(spareBytes)} must stay free`,
    );
  }
  return await fill(native, file, { size, path, signal, refuse });
}

interface Filling {
  readonly size: number;
  readonly path: string;
  readonly signal: AbortSignal;
  readonly refuse: (errno: string, reason: string) => never;
}

async function fill(native: Native, file: FileHandle, filling: Filling): Promise<Descriptor> {
  const { size, path, signal, refuse } = filling;
  const memory = native.memory.memfdCreate(path.slice(path.lastIndexOf('/') + 1).slice(0, 64) || 'file');
  try {
    native.memory.truncate(memory, BigInt(size));
    const piece = Buffer.alloc(Math.min(pieceBytes, size));
    for (let offset = 0; offset < size; ) {
      signal.throwIfAborted();
      const { bytesRead } = await file.read(piece, 0, Math.min(piece.length, size - offset), offset);
      if (bytesRead === 0) {
        refuse(
          'EIO',
          `it ended after ${offset} of ${counted(size, 'byte')}: it is being written to; try again`,
        );
      }
      native.memory.write(memory, BigInt(offset), piece.subarray(0, bytesRead));
      offset += bytesRead;
    }
    return memory;
  } catch (error) {
    memory.close();
    if (error instanceof Refusal || !isKernelFailure(error)) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    return refuse(code ?? 'EIO', message);
  }
}
