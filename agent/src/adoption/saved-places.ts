// SPDX-License-Identifier: Apache-2.0
/** Where the files of a saved machine are preserved, and what tells one of them from another. */
import type { Place } from '../liveupdate/session-entries.ts';
import type { SavedMachine } from './saved-machine.ts';

/** A place as the key of a map. */
export const keyOf = ({ session, token }: Place): string => `${session} ${token}`;

/** Where a machine's streams are. @param index the name of the index session */
export const statePlace = ({ state }: SavedMachine, index: string): Place => ({
  session: index,
  token: state?.token ?? 'none',
});

/** Everything a machine needs to run again. @param index the name of the index session */
export const placesOf = (machine: SavedMachine, index: string): Place[] => [
  statePlace(machine, index),
  ...machine.pieces.flatMap(({ files }) => files),
  ...machine.memory,
];
