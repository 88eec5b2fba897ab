// SPDX-License-Identifier: Apache-2.0
/**
 * Where files to preserve come from, besides the message: another process, or a copy of a file on disk.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Descriptor, Native } from '@luo-console/native';
import type { HostPaths } from '../host-paths.ts';
import { availableMemory } from '../kernel/facts.ts';
import { isKernelFailure, kernelCallFailed, Refusal } from '../refusal.ts';

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
 * A memfd with the contents of a file. The agent reads it with its own rights, so the file is opened with care:
 * an absolute path, a regular file, and a last component that is no symbolic link, so that nobody can point the
 * agent elsewhere by replacing one. It must fit into the memory that is free now.
 *
 * @throws Refusal FileUnusable
 */
export async function copyIntoMemory(native: Native, paths: HostPaths, path: string): Promise<Descriptor> {
  const refuse = (errno: string, reason: string): never => {
    throw new Refusal('FileUnusable', { path, errno, reason });
  };
  if (!path.startsWith('/') || path.includes('\0')) return refuse('EINVAL', 'an absolute path is needed');
  let file: FileHandle;
  try {
    file = await open(
      path,
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY,
    );
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return refuse(code ?? 'EIO', code === 'ELOOP' ? 'it is a symbolic link; name the file itself' : message);
  }
  try {
    const facts = await file.stat();
    if (!facts.isFile()) return refuse('EINVAL', 'it is not a regular file');
    if (facts.size === 0) return refuse('EINVAL', 'it is empty: there is nothing to preserve');
    const free = await availableMemory(paths);
    if (free !== null && facts.size > free - spareBytes) {
      return refuse(
        'ENOMEM',
        `it has ${facts.size} bytes, ${free} are free and ${spareBytes} of them stay free`,
      );
    }
    return await fill(native, file, facts.size, path, refuse);
  } finally {
    await file.close();
  }
}

async function fill(
  native: Native,
  file: FileHandle,
  size: number,
  path: string,
  refuse: (errno: string, reason: string) => never,
): Promise<Descriptor> {
  const memory = native.memory.memfdCreate(path.slice(path.lastIndexOf('/') + 1).slice(0, 64) || 'file');
  try {
    native.memory.truncate(memory, BigInt(size));
    const piece = Buffer.alloc(Math.min(pieceBytes, size));
    for (let offset = 0; offset < size; ) {
      const { bytesRead } = await file.read(piece, 0, Math.min(piece.length, size - offset), offset);
      if (bytesRead === 0) refuse('EIO', `it became shorter while it was read: ${offset} of ${size} bytes`);
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
