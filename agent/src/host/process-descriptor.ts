// SPDX-License-Identifier: Apache-2.0
/**
 * Where files to preserve come from, besides the message: another process, or a copy of a file on disk.
 */
import type { FileHandle } from 'node:fs/promises';
import type { Descriptor, Native } from '@luo-console/native';
import { availableMemory } from '../kernel/facts.ts';
import type { HostPaths } from './paths.ts';
import { counted, inMebibytes } from './plain-words.ts';
import { isKernelFailure, kernelCallFailed, Refusal } from './refusal.ts';
import { openRegularFile } from './regular-file.ts';

/** A copy of a process's descriptor. @throws Refusal NoSuchProcess, NoSuchDescriptor, InvalidValue, KernelCallFailed */
export function takeFromProcess(native: Native, pid: number, fd: number): Descriptor {
  if (pid < 1 || pid > 0x7fffffff) throw new Refusal('NoSuchProcess', { pid });
  if (fd < 0 || fd > 0x7fffffff) throw new Refusal('NoSuchDescriptor', { pid, fd });
  try {
    using process = native.descriptors.pidfdOpen(pid);
    return native.descriptors.pidfdGetfd(process, fd);
  } catch (error) {
    if (!isKernelFailure(error)) throw error;
    // EINVAL: the number belongs to a thread, not to a process.
    if (error.code === 'ESRCH' || error.code === 'EINVAL') throw new Refusal('NoSuchProcess', { pid });
    if (error.code === 'EBADF') throw new Refusal('NoSuchDescriptor', { pid, fd });
    throw kernelCallFailed(error);
  }
}

const pieceBytes = 1024 * 1024;
/** Memory to leave to the rest of the host when copying a file, in bytes. */
const spareBytes = 64 * 1024 * 1024;

/**
 * A memfd with the contents of a file. The agent reads it with its own rights, so the file is opened with care
 * (`regular-file.ts`), and not through a symbolic link, so that nobody can point the agent elsewhere by replacing
 * one. It must fit into the memory that is free now.
 *
 * @param signal stops the copying: the caller is gone.
 * @throws Refusal FileUnusable; the signal's reason.
 */
export async function copyIntoMemory(
  native: Native,
  paths: HostPaths,
  path: string,
  signal: AbortSignal,
): Promise<Descriptor> {
  const refuse = (errno: string, reason: string): never => {
    throw new Refusal('FileUnusable', { path, errno, reason });
  };
  await using file = await openRegularFile(path, 'refuse');
  const { size } = await file.stat();
  if (size === 0) return refuse('EINVAL', 'it is empty: there is nothing to preserve');
  const free = await availableMemory(paths);
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
        refuse('EIO', `it ended after ${offset} of ${counted(size, 'byte')}: it is being changed`);
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
