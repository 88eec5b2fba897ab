// SPDX-License-Identifier: Apache-2.0
/**
 * Preserving one file in one session so that a crash at any point leaves nothing unnamed: the file goes into
 * the descriptor store, then into the manifest as *intended*, then to the kernel, then the manifest says
 * *preserved*. Whoever finds an intended entry afterwards asks the kernel whether it got there (`probe`).
 */
import type { LiveUpdate, Descriptor as NativeDescriptor } from '@luo-console/native';
import { errnoOf, isKernelFailure, kernelCallFailed, Refusal } from '../host/refusal.ts';
import type { Kind } from '../interface/agent.generated.ts';
import { withPatience } from './device.ts';
import type { HeldSession } from './held-session.ts';
import { withKernelWords } from './kernel-words.ts';
import type { LiveUpdateContext } from './live-update-context.ts';
import type { KeepPart } from './manifest.ts';
import type { ManifestEntry } from './manifest-format.ts';
import { whyNotPreservable } from './preservable.ts';
import { formatToken } from './tokens.ts';

/** How a manifest's new part gets into a session: preserved under its token, and into the descriptor store. */
export function keepPartIn(context: LiveUpdateContext, name: string, descriptor: NativeDescriptor): KeepPart {
  return async (token, file) => {
    context.store.keepFile(name, token, file);
    try {
      await context.native.liveUpdate.preserveFd(descriptor, file, token);
    } catch (error) {
      context.store.dropFile(name, token);
      throw isKernelFailure(error) ? kernelCallFailed(error) : error;
    }
  };
}

/**
 * Preserves `file` and enters it in the manifest. On success the session owns `file`; on failure the caller does.
 *
 * @throws Refusal TokenInUse, AlreadyPreserved, NotPreservable, KernelCallFailed. Nothing is left behind then.
 */
export async function preserveInto(
  context: LiveUpdateContext,
  session: HeldSession,
  token: bigint,
  file: NativeDescriptor,
  entry: ManifestEntry,
): Promise<void> {
  const { manifest, open } = session;
  if (!manifest) throw new Refusal('SessionNotFound', { name: session.name });
  context.store.keepFile(session.name, token, file);
  try {
    await manifest.add(entry, keepPartIn(context, session.name, open));
    // The manager may still be closing its copy of a session that was just closed and held this very file.
    await withPatience(
      ['EBUSY'],
      { ...context.patience, totalMs: Math.min(context.patience.totalMs, 500) },
      () =>
        withKernelWords(context.kernelLog, entry.label, () =>
          context.native.liveUpdate.preserveFd(open, file, token),
        ),
    );
  } catch (error) {
    manifest.remove(token);
    context.store.dropFile(session.name, token);
    throw isKernelFailure(error) ? preserveRefusal(error, session.name, token, entry.kind) : error;
  }
  session.files.set(token, file);
  manifest.update(token, { state: 'preserved' });
}

function preserveRefusal(
  error: Error & { code: string; errno: number; syscall: string },
  session: string,
  token: bigint,
  kind: Kind,
): Refusal {
  switch (error.code) {
    case 'EEXIST':
      return new Refusal('TokenInUse', { session, token: formatToken(token) });
    case 'EBUSY':
      return new Refusal('AlreadyPreserved', { session: null, token: null });
    case 'ENOENT':
      return new Refusal('NotPreservable', { kind, reason: whyNotPreservable(kind), errno: error.code });
    case 'EOPNOTSUPP':
      return new Refusal('NotPreservable', {
        kind,
        reason: 'it carries seals that this kernel cannot preserve',
        errno: error.code,
      });
    default:
      return kernelCallFailed(error);
  }
}

/**
 * Whether a token is taken in an outgoing session, without changing it: a file that no handler takes is offered
 * under it. The kernel looks for the token first (`EEXIST`) and for a handler then (`ENOENT`), see
 * `luo_preserve_file` in `kernel/liveupdate/luo_file.c`.
 *
 * @param unpreservable any descriptor the kernel has no handler for, for example a socket.
 */
export async function tokenIsTaken(
  liveUpdate: LiveUpdate,
  session: NativeDescriptor,
  unpreservable: NativeDescriptor,
  token: bigint,
): Promise<boolean> {
  try {
    await liveUpdate.preserveFd(session, unpreservable, token);
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'EEXIST') return true;
    if (code === 'ENOENT') return false;
    throw error;
  }
  throw new Error(`the kernel preserved a socket under ${formatToken(token)}`);
}
