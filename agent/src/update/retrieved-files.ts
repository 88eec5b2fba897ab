// SPDX-License-Identifier: Apache-2.0
/** Files of saved machines as they are retrieved: each once, and what could not be retrieved is said when it is needed. */
import type { Descriptor, Native } from '@luo-console/native';
import type { SavedMachine } from '../adoption/saved-machine.ts';
import type { Place } from '../adoption/suspension.ts';
import { indexSessionName } from '../liveupdate/tokens.ts';
import { errnoOf } from '../refusal.ts';

/** Files by session and token, each retrieved once. */
export class RetrievedFiles {
  readonly files = new Map<string, Descriptor>();
  readonly #problems = new Map<string, string>();

  /** Retrieves a file, unless that was tried before. */
  async take(native: Native, sessions: ReadonlyMap<string, Descriptor>, place: Place): Promise<void> {
    const key = keyOf(place);
    const session = sessions.get(place.session);
    if (this.files.has(key) || this.#problems.has(key)) return;
    try {
      if (!session) throw new Error('the session did not come through');
      this.files.set(key, await native.liveUpdate.retrieveFd(session, BigInt(place.token)));
    } catch (error) {
      this.#problems.set(key, errnoOf(error) ?? (error instanceof Error ? error.message : String(error)));
    }
  }

  /** @throws Missing if it could not be retrieved */
  get(place: Place): Descriptor {
    const file = this.files.get(keyOf(place));
    if (file) return file;
    const why = this.#problems.get(keyOf(place)) ?? 'it was not retrieved';
    throw new Missing(`descriptor ${place.token} of session ${place.session} could not be retrieved: ${why}`);
  }
}

/** Part of a machine did not come through. */
export class Missing extends Error {}

export const keyOf = ({ session, token }: Place): string => `${session} ${token}`;

/** Where a machine's streams are. */
export const statePlace = ({ state }: SavedMachine): Place => ({
  session: indexSessionName,
  token: state?.token ?? 'none',
});

/** Everything a machine needs to run again. */
export const placesOf = (machine: SavedMachine): Place[] => [
  statePlace(machine),
  ...machine.pieces.flatMap(({ files }) => files),
  ...machine.memory,
];
