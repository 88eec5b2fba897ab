// SPDX-License-Identifier: Apache-2.0
/**
 * Taking an incoming session in: the manifest by its reserved tokens, then every descriptor it names, in the
 * order in which they were preserved. A descriptor that cannot be retrieved is recorded as missing, with the
 * errno; the others are not held up by it.
 *
 * The service manager gets a copy of a session a few microseconds after the kernel handed it over. If the agent dies in
 * between, the session is finished. Nothing in user space can close that gap. A service manager that retrieves for its
 * services (systemd 261 and later, with its own kexec) does not have it.
 */
import type { Descriptor as NativeDescriptor } from '@luo-console/native';
import { counted } from '../host/plain-words.ts';
import { errnoOf, isKernelFailure, kernelCallFailed } from '../host/refusal.ts';
import { saidBy } from '../host/said-by.ts';
import { HeldSession } from './held-session.ts';
import type { LiveUpdateContext } from './live-update-context.ts';
import { Manifest } from './manifest.ts';
import type { ManifestEntry } from './manifest-format.ts';
import { manifestToken } from './tokens.ts';

/** How many are retrieved at once: the event loop has its turn, and the service manager gets its copies, in between. */
const mostTogether = 250;

/** What came out of a session. `missing`: tokens with the errno of their retrieve; `problem`: an unreadable manifest. */
export interface Retrieved {
  readonly session: HeldSession;
  readonly missing: readonly { readonly token: string; readonly errno: string }[];
  readonly problem: string | null;
}

/**
 * Takes in everything that an incoming session's manifest names. Owns `descriptor` from now on.
 *
 * @returns the session; without a manifest if it holds none or an unreadable one, and then with nothing retrieved.
 */
export async function takeIn(
  context: LiveUpdateContext,
  name: string,
  descriptor: NativeDescriptor,
): Promise<Retrieved> {
  const { liveUpdate, memory } = context.native;
  // One that nobody keeps is held here all the same: letting go of it would free what is in it.
  const kept = (what: string, keep: () => void): void => {
    try {
      keep();
    } catch (error) {
      const message = `the service manager does not keep ${what}: ${saidBy(error)}`;
      context.journal.remember('session.unkept', { session: name, message });
    }
  };
  kept('the session', () => context.store.keepSession(name, descriptor));
  const parts: NativeDescriptor[] = [];
  for (let index = 0n; ; index += 1n) {
    const part = await retrieveOr(descriptor, manifestToken + index, 'ENOENT');
    if (part === null) break;
    parts.push(part);
  }
  let manifest: Manifest;
  try {
    if (parts.length === 0) throw new Error('it has no manifest: another program made it');
    manifest = Manifest.read(memory, parts);
  } catch (error) {
    for (const part of parts) part.close();
    const problem = saidBy(error);
    return { session: new HeldSession(name, 'incoming', descriptor, null), missing: [], problem };
  }
  for (const { token, file } of manifest.parts)
    kept('its manifest', () => context.store.keepFile(name, token, file));
  const session = new HeldSession(name, 'incoming', descriptor, manifest);
  const missing: { token: string; errno: string }[] = [];
  const keep = ({ token: text, label }: ManifestEntry, file: NativeDescriptor): void => {
    const token = BigInt(text);
    session.files.set(token, file);
    kept(label, () => context.store.keepFile(name, token, file));
  };
  const entries = manifest.entries();
  for (let first = 0; first < entries.length; first += mostTogether) {
    const row = entries.slice(first, first + mostTogether);
    if (await retrieveRow(row)) continue;
    for (const entry of row) await retrieveOne(entry);
  }
  manifest.updateAll(({ token }) => {
    const file = session.files.get(BigInt(token));
    return file ? { state: 'preserved', inode: Number(memory.fileFacts(file).ino) } : {};
  });
  return { session, missing, problem: null };

  /** Retrieves many at once: one by one, each would go to another thread and back. @returns false if the kernel refuses one */
  async function retrieveRow(row: readonly ManifestEntry[]): Promise<boolean> {
    const tokens = row.map(({ token }) => BigInt(token));
    try {
      const files = await liveUpdate.retrieveFds(descriptor, tokens);
      const retrieved = tokens.flatMap((token, index) => {
        const file = files[index];
        return file ? [{ token, file }] : [];
      });
      for (const { token, file } of retrieved) session.files.set(token, file);
      kept(counted(retrieved.length, 'file'), () => context.store.keepFiles(name, retrieved));
      return true;
    } catch (error) {
      // Nothing was handed out, and each can be asked for on its own.
      if (isKernelFailure(error)) return false;
      throw error;
    }
  }

  async function retrieveOne(entry: ManifestEntry): Promise<void> {
    const token = BigInt(entry.token);
    try {
      keep(entry, await liveUpdate.retrieveFd(descriptor, token));
    } catch (error) {
      if (entry.state === 'intended' && errnoOf(error) === 'ENOENT') {
        manifest.remove([token]);
      } else {
        manifest.update([token], { verdict: 'missing' });
        const errno = errnoOf(error) ?? 'EIO';
        session.unretrieved.set(token, errno);
        missing.push({ token: entry.token, errno });
      }
    }
  }

  async function retrieveOr(
    from: NativeDescriptor,
    token: bigint,
    absent: string,
  ): Promise<NativeDescriptor | null> {
    try {
      return await liveUpdate.retrieveFd(from, token);
    } catch (error) {
      if (errnoOf(error) === absent) return null;
      throw isKernelFailure(error) ? kernelCallFailed(error) : error;
    }
  }
}
