// SPDX-License-Identifier: Apache-2.0
/**
 * Preserving one file in one session, and the lifecycle of a preserved descriptor.
 *
 *     intended → preserved ──(kexec)──→ retrieved → compared → intended → preserved → …
 *        │           │         │            the session is built again ↗
 *        └ refused   │         └ missing
 *                    └ taken out, or its session is closed
 *
 * - *intended*: a copy is in the descriptor store, and the manifest names it. The kernel has not agreed yet.
 * - *preserved*: the kernel has it. Contents may change until the kexec; the size may not.
 * - *retrieved*: the next kernel returned it, as another inode without its name and mode.
 * - *missing*: the next kernel did not return it. When its session is finished it is gone for good.
 * - *compared*: its contents match its digest or differ from it. Without a digest it stays unchecked.
 *
 * A file is put into the store, then into the manifest as intended, then into the kernel; last the manifest says
 * preserved. So a crash leaves nothing unnamed. The caller hears of success only after the last step. The next agent
 * settles each window on its own (`intake.ts`):
 *
 * - Dead between store and manifest: the store has a file that no entry names. It is dropped.
 * - Dead between manifest and kernel: the agent offers the kernel a socket under the token (`tokenIsTaken`). The
 *   kernel does not know the token, so the entry and the file are dropped.
 * - Dead between kernel and manifest: the kernel knows the token, so the entry becomes preserved.
 *
 * A new part of the manifest takes the same way and has no entry. The next agent offers each part again.
 *
 * Refusals, by the time at which they come:
 *
 * - At preserve: `TokenInUse`, `AlreadyPreserved`, `NotPreservable`, or the errno with the kernel's log lines. Entry
 *   and copy are removed, so nothing is left behind; the file stays the caller's.
 * - The kernel does not come back: a person who adopts a machine is told so after a while (`adoption/protect.ts`).
 * - When its session is built again: memory leaves the session unbuilt. A device stays *intended* and is held. The next
 *   start of the agent releases such a device (`held-session.ts`).
 * - At freeze: the reboot call returns, and everything is preserved as before. The kernel log names the token only;
 *   `update/record/refused.ts` finds the session, if only one holds that token.
 * - At retrieve: final, because the kernel frees the contents. The errno is kept (`unretrieved`), the others go on.
 *
 * A file that two machines share is preserved once, in the session that came first. When that session is closed with
 * its machine, the file is preserved again for the other machine; in between no session has it. If that fails, the
 * log says so. The next update tries again and does not leave without it.
 *
 * Tests:
 *     agent/test/sessions.test.ts
 *       takes the next free token, or the one that is asked for
 *       refuses tokens in use, reserved or malformed
 *       says where a file is preserved already, and why a kind cannot be
 *       of many at once is as of one after the other: each has its own result, and all are one act
 *       is taken out by building the session anew, and the others stay
 *     agent/test/crash.test.ts
 *       while preserving loses nothing that was acknowledged
 *       while preserving $several at once loses nothing that was acknowledged
 *     agent/test/session-lifecycle.test.ts
 *       has its manifest in the kernel, also if the agent died before it had put it there
 *     agent/test/descriptor-lifecycle.test.ts
 *       that the kernel refuses to preserve leaves neither an entry nor a copy behind
 *       is retrieved with the others of its session, in one call of the kernel
 *       that the next kernel refuses to return is missing with its errno, and holds up no other
 *     agent/src/liveupdate/build-session.test.ts
 *       a device that is refused this time is held without being preserved, and the memory is preserved
 *     agent/test/live-update.test.ts
 *       carries sessions into the next kernel and proves it
 *       says returned with the errno when the kernel refuses, and leaves everything as it was
 *       says which descriptor differs when something wrote to it after its digest
 *     agent/src/update/record/refused.test.ts
 *       is the one the kernel log names, in the only session that has its token
 *       is in no session that can be told if two have such a token, or none has
 *     agent/src/adoption/adoptions.test.ts
 *       whose shared memory is in the session of one that is released is preserved again
 *       that shares memory keeps it when the VMM of the other one ends
 */
import type { LiveUpdate, Descriptor as NativeDescriptor } from '@luo-console/native';
import { errnoOf, isKernelFailure, kernelCallFailed, Refusal } from '../host/refusal.ts';
import type { Kind } from '../interface/agent.generated.ts';
import { preservePatiently, shortly } from './device.ts';
import type { HeldSession } from './held-session.ts';
import type { LiveUpdateContext } from './live-update-context.ts';
import type { KeepPart } from './manifest.ts';
import type { ManifestEntry } from './manifest-format.ts';
import { whyNotPreservable } from './preservable.ts';
import { type Preserving, preserveRow } from './preserve-row.ts';
import { formatToken } from './tokens.ts';

/** How a manifest's new part gets into a session: preserved under its token, and into the descriptor store. */
export function keepPartIn(context: LiveUpdateContext, name: string, descriptor: NativeDescriptor): KeepPart {
  return async (token, file) => {
    context.store.keepFile(name, token, file);
    try {
      await preservePatiently(
        () => context.native.liveUpdate.preserveFd(descriptor, file, token),
        shortly(context.patience),
      );
    } catch (error) {
      context.store.dropFile(name, token);
      throw isKernelFailure(error) ? kernelCallFailed(error) : error;
    }
  };
}

/**
 * Preserves files and enters them in the manifest, each on its own. The session owns those that are preserved; the
 * others stay the caller's, and nothing of them is left behind.
 *
 * @returns for each what it was refused for, null if it is preserved: Refusal TokenInUse, AlreadyPreserved,
 *   NotPreservable, KernelCallFailed
 * @throws Refusal SessionNotFound; what the manifest throws. No file is preserved then.
 */
export async function preserveInto(
  context: LiveUpdateContext,
  session: HeldSession,
  list: readonly Preserving[],
): Promise<(Error | null)[]> {
  const { name, manifest, open } = session;
  if (!manifest) throw new Refusal('SessionNotFound', { name });
  const drop = (some: readonly Preserving[]): void => {
    const tokens = some.map(({ token }) => token);
    manifest.remove(tokens);
    context.store.dropFiles(name, tokens);
  };
  try {
    context.store.keepFiles(name, list);
    await manifest.add(
      list.map(({ entry }) => entry),
      keepPartIn(context, name, open),
    );
  } catch (error) {
    drop(list);
    throw error;
  }
  const refusals: (Error | null)[] = [];
  const patience = shortly(context.patience);
  let mark = context.kernelLog.mark();
  while (refusals.length < list.length) {
    const row = list.slice(refusals.length);
    const { preserved, failure } = await preserveRow(context, open, row, patience, mark);
    for (let index = 0; index < preserved; index += 1) refusals.push(null);
    const refused = row[preserved];
    if (refused !== undefined) refusals.push(refusalOf(failure, name, refused));
    // What the kernel said of this one says nothing of the next.
    mark = context.kernelLog.mark();
  }
  const [kept, refused] = [true, false].map((isKept) =>
    list.filter((_each, index) => (refusals[index] === null) === isKept),
  ) as [Preserving[], Preserving[]];
  drop(refused);
  for (const { token, file } of kept) session.files.set(token, file);
  manifest.update(
    kept.map(({ token }) => token),
    { state: 'preserved' },
  );
  return refusals;
}

/** What a file was refused for. */
function refusalOf(error: unknown, session: string, { token, entry }: Preserving): Error {
  if (isKernelFailure(error)) return preserveRefusal(error, session, token, entry.kind);
  return error instanceof Error ? error : new Error(String(error));
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
