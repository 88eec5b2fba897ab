// SPDX-License-Identifier: Apache-2.0
/** Where the descriptors are that QEMU has handed over for the next one. */
import type { Place } from '../liveupdate/session-entries.ts';
import type { Piece } from '../qemu/streams.ts';
import type { SavedMachine } from './saved-machine.ts';
import type { SuspensionContext } from './suspension-context.ts';

/**
 * Says where the descriptors of every piece are preserved, and preserves those that are not.
 *
 * @throws what preserving throws
 */
export async function placedPieces(
  pieces: readonly Piece[],
  { native, whereIs, preserve }: Pick<SuspensionContext, 'native' | 'whereIs' | 'preserve'>,
): Promise<SavedMachine['pieces']> {
  const placed: SavedMachine['pieces'] = [];
  for (const { data, descriptors } of pieces) {
    const files: Place[] = [];
    for (const file of descriptors)
      files.push(whereIs(native.memory.fileFacts(file)) ?? (await preserve(file)));
    placed.push({ bytes: data.length, files });
  }
  return placed;
}
