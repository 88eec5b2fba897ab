// SPDX-License-Identifier: Apache-2.0
/**
 * The index session of the update that brought the host here. What is in it tells it from others: an agent that
 * reserved other names may have carried over a session of people with its name. Its memfd comes back from the kernel
 * without a name, so the format of the record decides.
 *
 * - A whole record in the index's format: the index.
 * - A whole record in another format, as a manifest is, or a session that is outgoing: somebody's session.
 * - Anything else, if no other session is the index: an index that cannot be read. Unnoticed it would stay incoming, and
 *   no update could begin.
 */
import type { Native, Descriptor as NativeDescriptor } from '@luo-console/native';
import { errnoOf, Refusal } from '../../host/refusal.ts';
import { saidBy } from '../../host/said-by.ts';
import type { HandedBack } from '../../liveupdate/intake.ts';
import { SlotFile } from '../../liveupdate/slots.ts';
import { parseStoredName } from '../../liveupdate/stored-names.ts';
import { indexSessionNames, manifestToken } from '../../liveupdate/tokens.ts';
import { type IndexContents, isOfIndex, readIndexRecord } from './index-record.ts';
import type { UpdateContext } from './update-context.ts';

/** The index of the update that brought the host here. */
export interface IncomingIndex {
  /** The name of its session. */
  readonly name: string;
  readonly session: NativeDescriptor;
  /** Null if the record cannot be read, with the reason in `problem`. */
  readonly record: IndexContents | null;
  readonly problem: string | null;
}

/** Reads what is in a session under one of the index's names. @returns null if it is somebody's session */
async function readIndex(
  native: Native,
  name: string,
  session: NativeDescriptor,
): Promise<IncomingIndex | null> {
  try {
    using file = await native.liveUpdate.retrieveFd(session, manifestToken);
    const content = new SlotFile(native.memory, file).read();
    if (content === null) throw new Error('neither of its slots is whole');
    const stored: unknown = JSON.parse(content.toString('utf8'));
    if (!isOfIndex(stored)) return null;
    return { name, session, record: readIndexRecord(stored), problem: null };
  } catch (error) {
    const errno = errnoOf(error);
    // The kernel's answer about a session that is outgoing, which the index of another kernel never is.
    if (errno === 'EINVAL') return null;
    return { name, session, record: null, problem: errno ?? saidBy(error) };
  }
}

/**
 * Finds the index among the sessions under its names, asking for the next one only if those before are not it.
 *
 * @param get the session of a name; null if there is none
 */
export async function findIndex(
  native: Native,
  get: (name: string) => Promise<NativeDescriptor | null>,
): Promise<IncomingIndex | null> {
  let unreadable: IncomingIndex | null = null;
  for (const name of indexSessionNames) {
    const session = await get(name);
    const index = session && (await readIndex(native, name, session));
    if (index?.record) return index;
    unreadable ??= index;
  }
  return unreadable;
}

/** Takes the index out of what the service manager handed in. `others` are the sessions and files of people. */
export async function takeOutIndex(
  { native, descriptorStore }: Pick<UpdateContext, 'native' | 'descriptorStore'>,
  handed: readonly HandedBack[],
): Promise<{ index: IncomingIndex | null; others: HandedBack[] }> {
  const sessionOf = (name: string): HandedBack | undefined =>
    handed.find((each) => {
      const stored = parseStoredName(each.name);
      return stored.kind === 'session' && stored.session === name;
    });
  const index = await findIndex(native, async (name) => sessionOf(name)?.descriptor ?? null);
  const own = index && sessionOf(index.name);
  if (own) descriptorStore.know(own.name);
  return { index, others: handed.filter((each) => each !== own) };
}

/**
 * Retrieves the index of the kernel before and keeps its session in the descriptor store, for an agent that may have
 * to do this again. Sessions of people that come under its names are taken in.
 *
 * @returns null if none was handed over: an answer, not a failure, by which a host learns that no update brought it here
 * @throws Refusal DeviceBusy, KernelCallFailed
 */
export async function retrieveIndex({
  device,
  descriptorStore,
  journal,
  native,
  sessions,
}: UpdateContext): Promise<IncomingIndex | null> {
  const retrieved = new Map<string, NativeDescriptor>();
  const retrieve = async (name: string): Promise<NativeDescriptor | null> => {
    if (sessions.has(name)) return null;
    try {
      const session = await device.retrieveSession(name);
      descriptorStore.keepSession(name, session);
      retrieved.set(name, session);
      return session;
    } catch (error) {
      const none = ['SessionNotFound', 'NoLiveUpdate'];
      if (error instanceof Refusal && none.includes(error.refusal)) return null;
      throw error;
    }
  };
  const index = await journal.giveBack(
    'index.retrieve',
    {},
    () => findIndex(native, retrieve),
    (found) => ({ message: found === null ? 'none was handed over' : '' }),
  );
  if (index !== null) retrieved.delete(index.name);
  for (const [name, session] of retrieved) await sessions.takeBack(name, session);
  return index;
}

/** Finishes the index session: it has done its work. */
export async function dismiss(
  { descriptorStore, journal, native }: UpdateContext,
  { name, record, session }: IncomingIndex,
): Promise<void> {
  await journal.act('index.finish', { update: record?.update?.id ?? null }, async () => {
    try {
      await native.liveUpdate.finish(session);
    } finally {
      descriptorStore.dropSession(name);
      session.close();
    }
  });
}
