// SPDX-License-Identifier: Apache-2.0
/**
 * What the service manager hands back when the agent starts: session descriptors and files it kept
 * (`descriptor-store.ts`). From these, and the manifests among the files, the agent rebuilds what it had before it
 * died.
 *
 * A session descriptor may come back in either direction. It is outgoing after a crash. It is incoming, and already
 * retrieved, if systemd 261 or later carried its store through a kexec. The kernel has no request that tells. But
 * retrieving answers `EINVAL` on an outgoing session, and nothing else does under the manifest's token
 * (`luo_session_ioctl`, `kernel/liveupdate/luo_session.c`).
 */
import type { Descriptor as NativeDescriptor } from '@luo-console/native';
import { errnoOf } from '../host/refusal.ts';
import { saidBy } from '../host/said-by.ts';
import { noteInBoxes, takeOutOfBoxes } from './boxed-files.ts';
import { giveManifest, takeApart } from './build-session.ts';
import { preservePatiently } from './device.ts';
import { HeldSession } from './held-session.ts';
import { agentItself, type LiveUpdateContext } from './live-update-context.ts';
import { Manifest } from './manifest.ts';
import { tokenIsTaken } from './preserve.ts';
import type { SessionStore } from './sessions.ts';
import { parseStoredName } from './stored-names.ts';
import { manifestToken } from './tokens.ts';

export interface HandedBack {
  readonly name: string;
  readonly descriptor: NativeDescriptor;
}

interface Found {
  descriptor: NativeDescriptor | null;
  readonly files: Map<bigint, NativeDescriptor>;
  /** With many files each. */
  readonly boxes: (HandedBack & { readonly place: number })[];
}

/** How the intake went. `problems`: what could not be taken in, in words. */
export interface Intake {
  readonly outgoing: string[];
  readonly incoming: string[];
  readonly problems: string[];
}

/** What belongs to each session, by its name; `strays` belong to none. All names must be known to the store. */
function bySession(
  store: LiveUpdateContext['store'],
  handed: readonly HandedBack[],
): { found: Map<string, Found>; strays: HandedBack[] } {
  const found = new Map<string, Found>();
  const strays: HandedBack[] = [];
  for (const each of handed) {
    const stored = parseStoredName(each.name);
    const owner =
      stored.kind === 'other'
        ? null
        : stored.kind === 'numbered' || stored.kind === 'box'
          ? store.sessionWith(stored.number)
          : stored.session;
    if (stored.kind === 'other' || owner === null) {
      strays.push(each);
      continue;
    }
    const entry: Found = found.get(owner) ?? { descriptor: null, files: new Map(), boxes: [] };
    found.set(owner, entry);
    if (stored.kind === 'session') entry.descriptor = each.descriptor;
    else if (stored.kind === 'box') entry.boxes.push({ ...each, place: stored.place });
    else entry.files.set(stored.token, each.descriptor);
  }
  return { found, strays };
}

/**
 * The machines in what the service manager handed back, for whoever cannot wait until it is taken in. Nothing is taken:
 * these are copies, which share the manifests. What cannot be read is left to the intake to say.
 *
 * @returns a session for each, without anything but its manifest; the caller releases them
 */
export function machinesIn(
  { native, store }: Pick<LiveUpdateContext, 'native' | 'store'>,
  handed: readonly HandedBack[],
): HeldSession[] {
  return [...bySession(store, handed).found].flatMap(([name, entry]) => {
    const parts = manifestParts(entry).map((file) => native.descriptors.duplicate(file));
    try {
      const held = new HeldSession(name, 'outgoing', null, Manifest.read(native.memory, parts));
      if (held.machine !== null) return [held];
      held.release();
    } catch {
      for (const part of parts) part.close();
    }
    return [];
  });
}

/** Rebuilds sessions from what the agent was handed, without its own index. Takes ownership of all descriptors given. */
export async function takeInStored(
  context: LiveUpdateContext,
  sessions: SessionStore,
  handed: readonly HandedBack[],
): Promise<Intake> {
  const intake: Intake = { outgoing: [], incoming: [], problems: [] };
  // Numbers are known only once all names are.
  for (const { name } of handed) if (parseStoredName(name).kind !== 'other') context.store.know(name);
  const { found, strays } = bySession(context.store, handed);
  for (const { name, descriptor } of strays) {
    // The service manager keeps its copy.
    descriptor.close();
    if (parseStoredName(name).kind !== 'other') intake.problems.push(`${name}: no session has this number`);
  }
  for (const [name, entry] of found) {
    intake.problems.push(...(await takeOutOfBoxes(context, name, entry.boxes, entry.files)));
    try {
      await takeInOne(context, sessions, { name, ...entry }, intake);
    } catch (error) {
      intake.problems.push(`${name}: ${saidBy(error)}`);
    }
  }
  return intake;
}

async function takeInOne(
  context: LiveUpdateContext,
  sessions: SessionStore,
  found: Found & { readonly name: string },
  intake: Intake,
): Promise<void> {
  const { name } = found;
  const state = found.descriptor === null ? 'none' : await stateOf(context, found.descriptor);
  if (found.descriptor !== null && (state === 'incoming' || (state === 'empty' && found.files.size === 0))) {
    for (const file of found.files.values()) file.close();
    await sessions.takeBack(name, found.descriptor);
    intake.incoming.push(name);
    return;
  }
  if (state === 'empty') {
    // Finished, and the agent died before it had built the session again: only its files are left.
    context.store.dropSession(name);
    found.descriptor?.close();
    found.descriptor = null;
  }
  const session = new HeldSession(
    name,
    'outgoing',
    found.descriptor,
    readManifest(context, found, intake, name),
  );
  for (const [token, file] of found.files) if (token < manifestToken) session.files.set(token, file);
  if (session.manifest?.head.state === 'closing') {
    await context.journal.giveBack(
      'session.close',
      { session: name, message: 'completes a close that was interrupted' },
      () => {
        context.store.dropAll(name);
        session.release();
      },
    );
    return;
  }
  dropUnnamed(context, session);
  sessions.enter(session);
  intake.outgoing.push(name);
  noteInBoxes(context, session);
  if (session.inBoxes.size > 0) sessions.openBoxesLater(session);
  if (session.manifest?.head.state === 'rebuilding') {
    try {
      await takeApart(context, session);
    } catch (error) {
      // The kernel's session keeps what was to be taken out, until the next start of the agent.
      intake.problems.push(`${name}: ${saidBy(error)}`);
    }
  }
  if (session.descriptor === null) {
    await sessions.rebuild(name, agentItself);
  } else if (session.manifest === null) {
    await giveManifest(context, session, 'unknown');
  } else {
    await preserveParts(context, session.manifest, session.descriptor);
    await settleIntended(context, session, session.descriptor);
  }
}

function manifestParts({ files }: Found): NativeDescriptor[] {
  const parts: NativeDescriptor[] = [];
  for (let token = manifestToken; ; token += 1n) {
    const part = files.get(token);
    if (!part) return parts;
    parts.push(part);
  }
}

function readManifest(
  context: LiveUpdateContext,
  found: Found,
  intake: Intake,
  name: string,
): Manifest | null {
  const parts = manifestParts(found);
  if (parts.length === 0) return null;
  try {
    return Manifest.read(context.native.memory, parts);
  } catch (error) {
    intake.problems.push(`${name}: ${saidBy(error)}`);
    return null;
  }
}

/** Drops files that were stored but not yet entered: nobody was told that they are preserved, and they are not. */
function dropUnnamed({ store }: LiveUpdateContext, { name, files, manifest }: HeldSession): void {
  if (manifest === null) return;
  const unnamed = [...files].filter(([token]) => !manifest.get(token));
  store.dropFiles(
    name,
    unnamed.map(([token]) => token),
  );
  for (const [token, file] of unnamed) {
    file.close();
    files.delete(token);
  }
}

/**
 * Gives the kernel the part of the manifest that was stored when the agent died and not yet preserved. The kernel
 * looks for the token first, so it answers `EEXIST` for the parts it has.
 */
async function preserveParts(
  { native, patience }: LiveUpdateContext,
  { parts }: Manifest,
  descriptor: NativeDescriptor,
): Promise<void> {
  for (const { token, file } of parts) {
    try {
      await preservePatiently(() => native.liveUpdate.preserveFd(descriptor, file, token), patience);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
  }
}

/** Asks the kernel about every entry that was being preserved when the agent died. */
async function settleIntended(
  context: LiveUpdateContext,
  session: HeldSession,
  descriptor: NativeDescriptor,
): Promise<void> {
  const { native, store } = context;
  const [probe, other] = native.sockets.socketPair();
  try {
    for (const entry of session.manifest?.entries() ?? []) {
      const token = BigInt(entry.token);
      const taken =
        entry.state === 'preserved' || (await tokenIsTaken(native.liveUpdate, descriptor, probe, token));
      if (taken) {
        if (entry.state === 'intended') session.manifest?.update([token], { state: 'preserved' });
        continue;
      }
      // Not to be dropped as unnamed: nobody has looked at it.
      if (session.inBoxes.has(token)) continue;
      session.manifest?.remove([token]);
      session.files.get(token)?.close();
      session.files.delete(token);
      store.dropFile(session.name, token);
    }
  } finally {
    probe.close();
    other.close();
  }
}

/** `empty`: incoming, and without a manifest: finished already, or somebody else's. */
async function stateOf(
  context: LiveUpdateContext,
  descriptor: NativeDescriptor,
): Promise<'outgoing' | 'incoming' | 'empty'> {
  try {
    (await context.native.liveUpdate.retrieveFd(descriptor, manifestToken)).close();
    return 'incoming';
  } catch (error) {
    if (errnoOf(error) === 'EINVAL') return 'outgoing';
    if (errnoOf(error) === 'ENOENT') return 'empty';
    throw error;
  }
}
