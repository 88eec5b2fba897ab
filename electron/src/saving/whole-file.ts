// SPDX-License-Identifier: Apache-2.0
/**
 * Writes a file that the person has named. It is written beside its destination and renamed at the end, so that a
 * file of that name is always a whole one.
 */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { ConsoleError } from '../interface/errors.ts';

/**
 * Makes or replaces the file at `path` with what `write` puts into it.
 *
 * @returns what `write` returns
 * @throws ConsoleError FileUnusable if the file cannot be written; whatever `write` throws. Nothing is left behind.
 */
export async function writeWholeFile<T>(path: string, write: (file: FileHandle) => Promise<T>): Promise<T> {
  const temporary = `${path}.part`;
  let file: FileHandle | null = null;
  try {
    file = await open(temporary, 'w', 0o600);
    const result = await write(file);
    await file.sync();
    await file.close();
    file = null;
    await rename(temporary, path);
    return result;
  } catch (error) {
    await file?.close();
    await rm(temporary, { force: true });
    const { code, syscall, message } = error as NodeJS.ErrnoException;
    if (code === undefined || syscall === undefined) throw error;
    throw new ConsoleError('FileUnusable', { path, errno: code, reason: message }, `${path}: ${message}`);
  }
}
