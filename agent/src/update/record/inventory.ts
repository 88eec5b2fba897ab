// SPDX-License-Identifier: Apache-2.0
/**
 * Which sessions existed, according to the journal: the last inventory, and what was done since. It is how the
 * agent knows after a power cut what was lost, and which names to try when no index tells.
 */
import * as v from 'valibot';
import type { JournalEntry, JournalReader } from '../../journal/index.ts';
import type { SessionStore } from '../../liveupdate/sessions.ts';

const KnownDescriptor = v.object({
  token: v.string(),
  label: v.optional(v.string(), ''),
  size: v.optional(v.number(), 0),
  digest: v.optional(v.nullable(v.string()), null),
});
export type KnownDescriptor = v.InferOutput<typeof KnownDescriptor>;
const KnownSession = v.object({ name: v.string(), descriptors: v.array(KnownDescriptor) });
export type KnownSession = v.InferOutput<typeof KnownSession>;

export interface Inventory {
  /** The boot in which the sessions existed; null if the journal knows of none. */
  readonly bootId: string | null;
  readonly sessions: readonly KnownSession[];
  /** Entries that had to be read to know. */
  readonly entries: number;
}

/** An inventory is written anew when this many entries have to be read to know what it would say. */
const mostEntries = 500;

const inventoryEntry = 'inventory';

/** What to write into the journal of the sessions that exist now, as the note named `inventory`. */
export function inventoryOf(sessions: SessionStore): { name: string; parameters: Record<string, unknown> } {
  const known = sessions.list().map((held) => {
    const session = held.toSession();
    const descriptors = session.descriptors.map(({ token, label, size, digest }) => ({
      token,
      label,
      size,
      digest,
    }));
    return { name: session.name, descriptors };
  });
  return { name: inventoryEntry, parameters: { sessions: known } };
}

/** The sessions that existed when the journal's newest entry was written. */
export async function readInventory(reader: JournalReader): Promise<Inventory> {
  const start = reader.newest({ name: inventoryEntry });
  const known = new Map<string, Map<string, KnownDescriptor>>();
  const parsed = v.safeParse(v.array(KnownSession), start?.parameters['sessions']);
  for (const { name, descriptors } of parsed.success ? parsed.output : []) {
    known.set(name, new Map(descriptors.map((descriptor) => [descriptor.token, descriptor])));
  }
  let read = 0;
  for await (const entries of reader.walk({ after: start?.sequence ?? 0 })) {
    read += entries.length;
    for (const entry of entries) apply(known, entry);
  }
  const bootId = reader.newest({})?.bootId ?? null;
  const sessions = [...known].map(([name, descriptors]) => ({
    name,
    descriptors: [...descriptors.values()],
  }));
  return { bootId, sessions, entries: read };
}

/** Whether the journal says of the sessions what is the case, so that nothing has to be written at the start. */
export function isCurrent(inventory: Inventory, sessions: SessionStore): boolean {
  const plain = (known: readonly KnownSession[]): string =>
    JSON.stringify(
      known
        .map(({ name, descriptors }) => [
          name,
          descriptors.map(({ token, label, size, digest }) => [token, label, size, digest].join(' ')).sort(),
        ])
        .sort(([left], [right]) => (String(left) < String(right) ? -1 : 1)),
    );
  const now = sessions.list().map((held) => held.toSession());
  return inventory.entries <= mostEntries && plain(inventory.sessions) === plain(now);
}

function apply(known: Map<string, Map<string, KnownDescriptor>>, entry: JournalEntry): void {
  const { session, parameters } = entry;
  if (entry.kind !== 'result' || session === null) return;
  // Of several that were preserved together some may have been refused; the others are listed.
  if (!entry.ok && entry.name !== 'session.preserve') return;
  const descriptors = known.get(session) ?? new Map<string, KnownDescriptor>();
  const one = v.safeParse(KnownDescriptor, parameters);
  const all = v.safeParse(v.array(KnownDescriptor), parameters['descriptors']);
  switch (entry.name) {
    case 'session.create':
      known.set(session, descriptors);
      break;
    case 'session.preserve':
      for (const each of all.success ? all.output : one.success && entry.ok ? [one.output] : [])
        descriptors.set(each.token, merged(descriptors.get(each.token), each));
      break;
    case 'session.digest':
      if (one.success)
        descriptors.set(one.output.token, merged(descriptors.get(one.output.token), one.output));
      break;
    case 'session.remove':
      if (one.success) descriptors.delete(one.output.token);
      break;
    case 'session.retrieve':
    case 'session.take-back':
    // What agents before this one called it.
    case 'session.adopt':
    case 'session.carry':
      if (all.success) known.set(session, new Map(all.output.map((each) => [each.token, each])));
      break;
    case 'session.close':
    // What is carried on is entered again by the act that does it.
    case 'session.finish':
      known.delete(session);
      break;
    default:
      break;
  }
}

/** A digest's entry repeats neither label nor size: what it does not say must not overwrite what is known. */
function merged(before: KnownDescriptor | undefined, said: KnownDescriptor): KnownDescriptor {
  return {
    token: said.token,
    label: said.label || (before?.label ?? ''),
    size: said.size || (before?.size ?? 0),
    digest: said.digest ?? before?.digest ?? null,
  };
}
