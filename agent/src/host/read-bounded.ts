// SPDX-License-Identifier: Apache-2.0
/** Reading a file that another process wrote, which may be of any length or not there. */
import { closeSync, openSync, readSync } from 'node:fs';

/**
 * The first bytes of a file as text. Read at once, because a guest may be waiting.
 *
 * @param most how many bytes are read at most
 * @returns null if there is no such file; `whole` is false if the file goes on
 * @throws Error of open(2) other than ENOENT and ENOTDIR, or of read(2)
 */
export function readBounded(path: string, most: number): { text: string; whole: boolean } | null {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
  try {
    const pieces: Buffer[] = [];
    let length = 0;
    // One byte more than wanted tells whether there is more.
    while (length <= most) {
      const piece = Buffer.alloc(Math.min(65_536, most + 1 - length));
      const got = readSync(file, piece);
      if (got === 0) break;
      pieces.push(piece.subarray(0, got));
      length += got;
    }
    const bytes = Buffer.concat(pieces);
    return { text: bytes.toString('utf8', 0, Math.min(length, most)), whole: length <= most };
  } finally {
    closeSync(file);
  }
}
