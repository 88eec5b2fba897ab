// SPDX-License-Identifier: Apache-2.0
/** Files of saved machines as they are retrieved: each once, and what could not be retrieved is said when it is needed. */
import type { Descriptor, Native } from '@luo-console/native';
import { keyOf } from '../../adoption/saved-places.ts';
import { errnoOf } from '../../host/refusal.ts';
import { saidBy } from '../../host/said-by.ts';
import type { Place } from '../../liveupdate/session-entries.ts';

/** Files by session and token, each retrieved once. */
export class RetrievedFiles {
  readonly files = new Map<string, Descriptor>();
  readonly #problems = new Map<string, string>();

  /** Retrieves files, those of a session in one go: each way to the kernel and back is time the machines wait. */
  async takeAll(
    native: Native,
    sessions: ReadonlyMap<string, Descriptor>,
    places: readonly Place[],
  ): Promise<void> {
    const wanted = [...new Map(places.map((place) => [keyOf(place), place])).values()];
    for (const [name, own] of Map.groupBy(wanted, ({ session }) => session)) {
      const session = sessions.get(name);
      const files = session && (await retrieveRow(native, session, own));
      if (files) for (const [index, place] of own.entries()) this.#keep(place, files[index]);
      else for (const place of own) await this.#take(native, sessions, place);
    }
  }

  #keep(place: Place, file: Descriptor | undefined): void {
    if (file) this.files.set(keyOf(place), file);
  }

  /** Retrieves a file, unless that was tried before. */
  async #take(native: Native, sessions: ReadonlyMap<string, Descriptor>, place: Place): Promise<void> {
    const key = keyOf(place);
    const session = sessions.get(place.session);
    if (this.files.has(key) || this.#problems.has(key)) return;
    try {
      if (!session) throw new Error('the session did not come through');
      this.files.set(key, await native.liveUpdate.retrieveFd(session, BigInt(place.token)));
    } catch (error) {
      this.#problems.set(key, errnoOf(error) ?? saidBy(error));
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

/** Null if one of them cannot be retrieved: which, is found out one by one. */
async function retrieveRow(
  { liveUpdate }: Native,
  session: Descriptor,
  places: readonly Place[],
): Promise<readonly Descriptor[] | null> {
  try {
    return await liveUpdate.retrieveFds(
      session,
      places.map(({ token }) => BigInt(token)),
    );
  } catch {
    return null;
  }
}

/** Part of a machine did not come through. */
export class Missing extends Error {}
