// SPDX-License-Identifier: Apache-2.0
/**
 * Opening a file that a caller named. The agent opens it with its own rights, so it must be careful. Opening a device
 * can trigger something (a watchdog, a tape). Opening a FIFO waits for ever. And the file may be replaced between the
 * check and the opening. So the name is resolved once, without opening the file (`O_PATH`, open(2)). The agent checks
 * that descriptor, and opens only a regular file, through the same descriptor.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Refusal } from './refusal.ts';
import { saidBy } from './said-by.ts';

/** include/uapi/asm-generic/fcntl.h; Node does not name it. */
const pathOnly = 0o10000000;

/**
 * Opens a regular file for reading.
 *
 * @param links `follow`: the last component may be a symbolic link; `refuse`: it may not.
 * @throws Refusal FileUnusable with the errno: EINVAL not absolute or no regular file, ELOOP a symbolic link.
 */
export async function openRegularFile(path: string, links: 'follow' | 'refuse'): Promise<FileHandle> {
  const refuse = (errno: string, reason: string): never => {
    throw new Refusal('FileUnusable', { path, errno, reason });
  };
  if (!path.startsWith('/') || path.includes('\0')) return refuse('EINVAL', 'expected an absolute path');
  let place: FileHandle | null = null;
  try {
    place = await open(path, pathOnly | (links === 'refuse' ? constants.O_NOFOLLOW : 0));
    const facts = await place.stat();
    if (facts.isSymbolicLink()) return refuse('ELOOP', 'it is a symbolic link; name the file itself');
    if (!facts.isFile()) return refuse('EINVAL', 'it is not a regular file');
    return await open(`/proc/self/fd/${place.fd}`, constants.O_RDONLY);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    const { code = 'EIO' } = error as NodeJS.ErrnoException;
    return refuse(code, reasons[code] ?? saidBy(error));
  } finally {
    await place?.close();
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'file not found',
  ENOTDIR: 'a part of its path is not a directory',
  EACCES: 'the agent may not read it',
  ELOOP: 'symbolic links in its path form a loop',
  ENAMETOOLONG: 'its path is too long',
};
