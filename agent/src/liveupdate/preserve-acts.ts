// SPDX-License-Identifier: Apache-2.0
/**
 * What the journal says of descriptors that are preserved together. What one caller asked for is one act with one
 * result: an entry for each of thousands would cost more than the kernel's part. The result lists what is preserved and
 * what was refused. A single descriptor is described by the parameters themselves.
 */
import { counted } from '../host/plain-words.ts';
import { saidBy } from '../host/said-by.ts';
import { type Announced, codeOf, type EntryFields, type Journal } from '../journal/index.ts';
import type { Actor } from './live-update-context.ts';
import type { ManifestEntry } from './manifest-format.ts';

/** A descriptor that is about to be preserved, and on whose behalf. */
interface Wanted {
  readonly actor: Actor;
  readonly entry: ManifestEntry;
}

/** An act that is announced, with the places of its descriptors among all that are preserved together. */
interface Act {
  readonly announced: Announced;
  readonly peer: Actor['peer'];
  readonly places: readonly number[];
}

export interface PreserveActs {
  /** Writes how each act ended. @param refusals for each descriptor what it was refused for; null if it is preserved */
  settle(refusals: readonly unknown[], durationUs: number): void;
}

const name = 'session.preserve';

const describe = ({ token, size, kind, label, source }: ManifestEntry): Record<string, unknown> => ({
  ...{ token, size, kind, label, source },
});

/** Announces what was asked for. @throws JournalUnwritable */
export function announcePreserves(
  journal: Journal,
  session: string,
  wanted: readonly Wanted[],
): PreserveActs {
  const byActor = Map.groupBy(wanted.keys(), (place) => wanted[place]?.actor.peer ?? null);
  const entriesOf = (places: readonly number[]): ManifestEntry[] =>
    places.flatMap((place) => wanted[place]?.entry ?? []);
  const acts = journal.together(() =>
    [...byActor].map(([peer, places]): Act => {
      const fields = { session, peer, ...announcement(entriesOf(places)) };
      return { announced: journal.announce(name, fields), peer, places };
    }),
  );
  return {
    settle: (refusals, durationUs) =>
      journal.together(() => {
        for (const { announced, peer, places } of acts) {
          const { failure, ...fields } = result(
            entriesOf(places),
            places.map((place) => refusals[place] ?? null),
          );
          journal.settle(announced, { session, peer, ...fields }, failure, durationUs);
        }
      }),
  };
}

function announcement(entries: readonly ManifestEntry[]): EntryFields {
  const [first] = entries;
  if (first !== undefined && entries.length === 1) return { parameters: describe(first) };
  return {
    parameters: { descriptors: entries.map(describe) },
    message: counted(entries.length, 'descriptor'),
  };
}

/** @param refusals of each entry */
function result(
  entries: readonly ManifestEntry[],
  refusals: readonly unknown[],
): EntryFields & { readonly failure: unknown } {
  const [first] = entries;
  if (first !== undefined && entries.length === 1)
    return { parameters: describe(first), failure: refusals[0] ?? null };
  const preserved = entries.filter((_entry, index) => refusals[index] === null);
  const refused = entries.flatMap(({ token, label }, index) =>
    refusals[index] === null ? [] : [{ token, label, problem: saidBy(refusals[index]) }],
  );
  const failure = refusals.find((refusal) => refusal !== null) ?? null;
  const message = `${counted(preserved.length, 'descriptor')} preserved, ${refused.length} refused; the first one: ${saidBy(failure)}`;
  return {
    parameters: { descriptors: preserved.map(describe), refused },
    message: counted(preserved.length, 'descriptor'),
    failure: failure === null ? null : Object.assign(new Error(message), { code: codeOf(failure) }),
  };
}
