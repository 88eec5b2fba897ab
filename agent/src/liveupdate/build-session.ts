// SPDX-License-Identifier: Apache-2.0
/**
 * Building a session from its manifest and its files. This happens after a live update: finished sessions become
 * outgoing ones again, so that the memory is safe for the next. It also takes one descriptor out, and repairs either
 * when the agent died in the middle. Until it is done the agent and the descriptor store hold the files, so the memory
 * is there whatever happens.
 */
import type { Descriptor as NativeDescriptor } from '@luo-console/native';
import { isKernelFailure, kernelCallFailed, Refusal } from '../host/refusal.ts';
import { needFilesOfBoxes } from './boxed-files.ts';
import { preservePatiently, withPatience } from './device.ts';
import { HeldSession } from './held-session.ts';
import { withKernelWords } from './kernel-words.ts';
import type { LiveUpdateContext } from './live-update-context.ts';
import { Manifest } from './manifest.ts';
import type { ManifestEntry, ManifestHead } from './manifest-format.ts';
import { keepPartIn } from './preserve.ts';
import { type Preserving, preserveRow } from './preserve-row.ts';
import { formatToken } from './tokens.ts';

/** How many files the kernel preserves in one call, so that others have their turn in between. */
const mostTogether = 250;

/**
 * Creates the kernel's session for one that lacks it, and preserves the manifest and every file in order. Devices that
 * the kernel refuses now are held all the same (`HeldSession.refused`).
 *
 * @throws Refusal DeviceBusy, NoLiveUpdate, SessionExists, KernelCallFailed, also where files could not be taken out of the
 *   store (`boxed-files.ts`). The session is left without a
 *   descriptor, its files held; calling again tries again.
 */
export async function buildSession(context: LiveUpdateContext, session: HeldSession): Promise<void> {
  const { manifest, name } = session;
  if (manifest === null) throw new Refusal('SessionNotFound', { name });
  await needFilesOfBoxes(context, session);
  const { liveUpdate } = context.native;
  const descriptor = await context.device.createSession(name);
  try {
    manifest.updateAll(() => ({ state: 'intended' }));
    for (const { token, file } of manifest.parts)
      await preservePatiently(() => liveUpdate.preserveFd(descriptor, file, token), context.patience);
    await preserveAll(descriptor, manifest.entries());
  } catch (error) {
    descriptor.close();
    throw isKernelFailure(error) ? kernelCallFailed(error) : error;
  }
  context.store.keepSession(name, descriptor);
  session.descriptor = descriptor;
  session.direction = 'outgoing';
  const held = (entry: ManifestEntry): boolean => session.files.has(BigInt(entry.token));
  const lost = manifest.entries().filter((entry) => !held(entry));
  manifest.remove(lost.map(({ token }) => BigInt(token)));
  manifest.updateAll(({ token }) => (session.refused.has(BigInt(token)) ? {} : { state: 'preserved' }));
  manifest.updateHead({ state: 'open', handedOut: false });
  await context.store.settled();

  async function preserveAll(target: NativeDescriptor, entries: readonly ManifestEntry[]): Promise<void> {
    const all = entries.flatMap((entry): Preserving[] => {
      const token = BigInt(entry.token);
      const file = session.files.get(token);
      return file === undefined ? [] : [{ token, file, entry }];
    });
    for (let done = 0; done < all.length; ) {
      const row = all.slice(done, done + mostTogether);
      const mark = context.kernelLog.mark();
      const { preserved, failure } = await preserveRow(context, target, row, context.patience, mark);
      for (const { token } of row.slice(0, preserved)) session.refused.delete(token);
      done += preserved;
      const refused = row[preserved];
      if (refused === undefined) continue;
      // A device may need another that was lost. That must not leave memory unprotected.
      if (refused.entry.kind !== 'other' || !isKernelFailure(failure)) throw failure;
      session.refused.set(refused.token, failure.message);
      done += 1;
    }
  }
}

/**
 * Finishes an incoming session and leaves its files with the agent, to be built again. It is counted as carried before
 * it is finished: an agent that finds it in between must not count it again.
 */
export async function finishInto(context: LiveUpdateContext, session: HeldSession): Promise<void> {
  const { store, native, patience } = context;
  const head = session.manifest?.head;
  if (head && head.state !== 'rebuilding') {
    session.manifest?.updateHead({ carried: head.carried + 1, state: 'rebuilding' });
  }
  try {
    await withPatience(['EBUSY'], patience, () =>
      withKernelWords(context.kernelLog, `finishing ${session.name}`, () =>
        native.liveUpdate.finish(session.open),
      ),
    );
  } catch (error) {
    if (head) session.manifest?.updateHead(head);
    throw error;
  }
  store.dropSession(session.name);
  session.descriptor?.close();
  session.descriptor = null;
}

/**
 * Closes the kernel's session of one that will be built again. Its files stay with the agent and the store.
 *
 * @throws Refusal KernelCallFailed if some of them could not be taken out of the store; nothing is closed then
 */
export async function takeApart(context: LiveUpdateContext, session: HeldSession): Promise<void> {
  await needFilesOfBoxes(context, session);
  context.store.dropSession(session.name);
  await context.store.settled();
  const { descriptor } = session;
  session.descriptor = null;
  // The kernel unpreserves every page of it.
  if (descriptor) await context.native.descriptors.closeAside(descriptor);
}

/** How long the kernel may take to preserve an empty manifest, in ms. Nobody else can create a session meanwhile. */
const createMs = 10_000;

/**
 * Makes an outgoing session with nothing but its manifest in it.
 *
 * @param machine whose session it is; null for one that people make
 * @throws Refusal SessionExists, NoLiveUpdate, DeviceBusy; nothing is left behind then. NotEnded if the kernel does not
 *   come back: it drops the session as soon as it does.
 */
export async function makeSession(
  context: LiveUpdateContext,
  name: string,
  createdBy: string,
  machine: ManifestHead['machine'],
): Promise<HeldSession> {
  const descriptor = await context.device.createSession(name);
  const session = new HeldSession(name, 'outgoing', descriptor, null);
  context.store.keepSession(name, descriptor);
  try {
    const giving = giveManifest(context, session, createdBy, machine);
    await context.unended.waitFor(`creating session ${name}`, giving, {
      limitMs: createMs,
      giveBack: () => session.manifest?.close(),
    });
    await context.store.settled();
  } catch (error) {
    context.store.dropAll(name);
    session.release();
    throw error;
  }
  return session;
}

/** Puts an empty manifest into an outgoing session that has none. @throws Refusal KernelCallFailed */
export async function giveManifest(
  context: LiveUpdateContext,
  session: HeldSession,
  createdBy: string,
  machine: ManifestHead['machine'] = null,
): Promise<void> {
  const head: ManifestHead = {
    name: session.name,
    createdAtUs: context.nowUs(),
    createdBy: createdBy.slice(0, 256),
    carried: 0,
    state: 'open',
    handedOut: false,
    machine,
  };
  const keep = keepPartIn(context, session.name, session.open);
  session.manifest = await Manifest.create(context.native.memory, head, keep);
}

/** Tokens of a session in a form for the journal. */
export function describeContents(session: HeldSession): Record<string, unknown> {
  return {
    descriptors: session
      .toSession()
      .descriptors.map(({ token, label, size, digest }) => ({ token, label, size, digest })),
    parts: session.manifest?.parts.map(({ token }) => formatToken(token)) ?? [],
  };
}
