// SPDX-License-Identifier: Apache-2.0
/**
 * Writes a host's journal to a file as JSON Lines. It is written beside its destination and renamed at
 * the end, so that a file of that name is always a whole journal.
 */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { ConsoleError } from '../bridge/errors.ts';

async function countAndWrite(
  file: FileHandle,
  pieces: AsyncIterable<string> | Iterable<string>,
): Promise<number> {
  let entries = 0;
  for await (const piece of pieces) {
    for (let at = piece.indexOf('\n'); at >= 0; at = piece.indexOf('\n', at + 1)) entries += 1;
    await file.writeFile(piece);
  }
  await file.sync();
  return entries;
}

/**
 * Writes `pieces`, which together are lines that each end in a line feed.
 *
 * @returns how many lines were written
 * @throws ConsoleError FileUnusable if the file cannot be written; whatever `pieces` throws. Nothing is left behind.
 */
export async function writeJournalFile(
  path: string,
  pieces: AsyncIterable<string> | Iterable<string>,
): Promise<number> {
  const temporary = `${path}.part`;
  let file: FileHandle | null = null;
  try {
    file = await open(temporary, 'w', 0o600);
    const entries = await countAndWrite(file, pieces);
    await file.close();
    file = null;
    await rename(temporary, path);
    return entries;
  } catch (error) {
    await file?.close();
    await rm(temporary, { force: true });
    const { code, syscall, message } = error as NodeJS.ErrnoException;
    if (code === undefined || syscall === undefined) throw error;
    throw new ConsoleError('FileUnusable', { path, errno: code, reason: message }, `${path}: ${message}`);
  }
}
