// SPDX-License-Identifier: Apache-2.0
/**
 * What is kept of a machine that does not run: its record, its state, and memory that only the index session has. The
 * index is finished only once all of it is in the machine's own session, beside the memory that is there.
 */
import type { Descriptor, Native } from '@luo-console/native';
import type { SavedMachine } from '../../adoption/saved-machine.ts';
import { keyOf } from '../../adoption/saved-places.ts';
import type { Place } from '../../liveupdate/session-entries.ts';
import type { UnreadMachine } from '../record/index-record.ts';
import type { RetrievedFiles } from './retrieved-files.ts';

/** What is in hand of a machine that does not run. */
export interface HeldMachine {
  /** Null if its record does not tell. */
  readonly name: string | null;
  readonly session: string | null;
  /** Its record as it stands in the index. */
  readonly record: unknown;
  /** The same where it fits; null otherwise. */
  readonly saved: SavedMachine | null;
  /** Its files in the index session that could be retrieved: its state first, if that is among them. */
  readonly files: readonly HeldFile[];
}

export interface HeldFile {
  readonly kind: 'state' | 'memory';
  /** In the index session. */
  readonly token: string;
  readonly file: Descriptor;
}

/** Gathers what was retrieved of a machine. @param places its places in the index session, that of its state first */
export function heldMachine(
  native: Native,
  retrieved: RetrievedFiles,
  { name, session, record, saved }: Omit<HeldMachine, 'files'>,
  places: readonly Place[],
): HeldMachine {
  const files = places.flatMap(({ session: index, token }, at): HeldFile[] => {
    const file = retrieved.files.get(keyOf({ session: index, token }));
    return file
      ? [{ kind: at === 0 ? 'state' : 'memory', token, file: native.descriptors.duplicate(file) }]
      : [];
  });
  return { name, session, record, saved, files };
}

/** Where the state of a machine is whose record does not fit, if it tells that much. */
export const unreadPlaces = ({ stateToken }: UnreadMachine, index: string): Place[] =>
  stateToken === null ? [] : [{ session: index, token: stateToken }];
