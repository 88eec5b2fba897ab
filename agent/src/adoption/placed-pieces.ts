// SPDX-License-Identifier: Apache-2.0
/** Where the descriptors are that QEMU has handed over for the next one. */
import type { Descriptor } from '@luo-console/native';
import { inMebibytes } from '../host/plain-words.ts';
import type { Place } from '../liveupdate/session-entries.ts';
import { type Piece, StreamError } from '../qemu/streams.ts';
import type { SavedMachine } from './saved-machine.ts';
import type { SuspensionContext } from './suspension-context.ts';

/** Bytes of what a VMM hands over beside its memory that are allocated for it at most, as the kernel fills all holes. */
const mostFilledBytes = 64 * 1024 * 1024;

/**
 * Says where the descriptors of every piece are preserved, and preserves those that are not.
 *
 * @throws StreamError if too much would be allocated for them; what preserving throws
 */
export async function placedPieces(
  pieces: readonly Piece[],
  {
    native,
    whereIs,
    preserve,
  }: Pick<SuspensionContext, 'native' | 'whereIs'> & {
    preserve(file: Descriptor): Promise<Place>;
  },
): Promise<SavedMachine['pieces']> {
  const placed: SavedMachine['pieces'] = [];
  let filled = 0;
  for (const { data, descriptors } of pieces) {
    const files: Place[] = [];
    for (const file of descriptors) {
      const facts = native.memory.fileFacts(file);
      const place = whereIs(facts);
      if (place === null) filled += Math.max(0, Number(facts.size - facts.allocated));
      if (filled > mostFilledBytes)
        throw new StreamError(
          `its VMM hands over files of which ${inMebibytes(filled)} are not allocated yet; expected at most ${inMebibytes(mostFilledBytes)}`,
        );
      files.push(place ?? (await preserve(file)));
    }
    placed.push({ bytes: data.length, files });
  }
  return placed;
}
