// SPDX-License-Identifier: Apache-2.0
/** Writes a host's journal to a file as JSON Lines. */
import { writeWholeFile } from './whole-file.ts';

/**
 * Writes `pieces`, which together are lines that each end in a line feed.
 *
 * @returns how many lines were written
 * @throws ConsoleError FileUnusable if the file cannot be written; whatever `pieces` throws. Nothing is left behind.
 */
export function writeJournalFile(
  path: string,
  pieces: AsyncIterable<string> | Iterable<string>,
): Promise<number> {
  return writeWholeFile(path, async (file) => {
    let entries = 0;
    for await (const piece of pieces) {
      for (let at = piece.indexOf('\n'); at >= 0; at = piece.indexOf('\n', at + 1)) entries += 1;
      await file.writeFile(piece);
    }
    return entries;
  });
}
