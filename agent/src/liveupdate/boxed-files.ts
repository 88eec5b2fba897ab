// SPDX-License-Identifier: Apache-2.0
/**
 * Taking the files of a session out of its boxes (`descriptor-box.ts`), which the service manager has handed back.
 *
 * A box that cannot be looked into is kept: it may have the last copy of its files. This can pass, as with `ENFILE`. Of
 * too many open files the kernel says nothing, and gives out fewer (`scm_detach_fds` in net/core/scm.c). Until it is looked
 * into, files that the manifest names are missing (`HeldSession.files`). Nothing that would be the end of them is done
 * meanwhile: the kernel's session stays as it is, and so does the manifest.
 */
import type { Descriptor as NativeDescriptor } from '@luo-console/native';
import { counted } from '../host/plain-words.ts';
import { errnoOf, Refusal } from '../host/refusal.ts';
import { saidBy } from '../host/said-by.ts';
import { type Boxed, lookIntoBox } from './descriptor-box.ts';
import { type Patience, shortly, withPatience } from './device.ts';
import type { HeldSession } from './held-session.ts';
import type { LiveUpdateContext } from './live-update-context.ts';

type BoxContext = Pick<LiveUpdateContext, 'native' | 'store' | 'patience'>;

const lookPatiently = async (
  { native }: BoxContext,
  box: NativeDescriptor,
  patience: Patience,
): Promise<Boxed<NativeDescriptor>[]> =>
  await withPatience('any', patience, () => lookIntoBox(native.sockets, box));

/**
 * Takes the files out of a session's boxes, which the store holds from now on.
 *
 * @param boxes the latest has the highest place
 * @param files of the session, to which those are added that it lacks
 * @returns what is wrong with boxes that could not be looked into, in words
 */
export async function takeOutOfBoxes(
  context: BoxContext,
  session: string,
  boxes: readonly { readonly name: string; readonly descriptor: NativeDescriptor; readonly place: number }[],
  files: Map<bigint, NativeDescriptor>,
): Promise<string[]> {
  const problems: string[] = [];
  for (const { name, descriptor } of boxes.toSorted((one, other) => other.place - one.place)) {
    try {
      // What one box was waited for in vain need not be waited for again.
      const patience = problems.length === 0 ? shortly(context.patience) : { firstMs: 1, totalMs: 0 };
      const boxed = await lookPatiently(context, descriptor, patience);
      context.store.holdBox(name, session, descriptor, enter(boxed, files));
    } catch (error) {
      context.store.holdBox(name, session, descriptor, null);
      problems.push(`${session}: box ${name} of the descriptor store stays unopened: ${saidBy(error)}`);
    }
  }
  return problems;
}

/** An agent that died while it made a box again has left both. @returns tokens of the files that were lacking */
function enter(boxed: readonly Boxed<NativeDescriptor>[], files: Map<bigint, NativeDescriptor>): bigint[] {
  return boxed.flatMap(({ token, file }) => {
    if (files.has(token)) {
      file.close();
      return [];
    }
    files.set(token, file);
    return [token];
  });
}

/** Notes which files of a session that was just taken in are missing because a box could not be looked into. */
export function noteInBoxes(
  { store }: Pick<BoxContext, 'store'>,
  { name, files, manifest, inBoxes }: HeldSession,
): void {
  if (store.unopened(name).length === 0) return;
  for (const { token } of manifest?.entries() ?? [])
    if (!files.has(BigInt(token))) inBoxes.add(BigInt(token));
}

/**
 * Looks again into boxes that could not be looked into, if files are missing because of that.
 *
 * @throws Refusal KernelCallFailed while files are missing: what would be the end of them must not be done
 */
export async function needFilesOfBoxes(context: BoxContext, session: HeldSession): Promise<void> {
  const { name, files, manifest, inBoxes } = session;
  for (const [box, descriptor] of context.store.unopened(name)) {
    if (inBoxes.size === 0) return;
    try {
      const boxed = await lookPatiently(context, descriptor, shortly(context.patience));
      const isNamed = ({ token }: Boxed): boolean => manifest?.get(token) !== undefined;
      for (const unnamed of boxed.filter((each) => !isNamed(each))) unnamed.file.close();
      const entered = enter(boxed.filter(isNamed), files);
      context.store.holdBox(box, name, descriptor, entered);
      for (const token of entered) inBoxes.delete(token);
    } catch (error) {
      throw new Refusal('KernelCallFailed', {
        call: 'recvmsg(MSG_PEEK)',
        errno: errnoOf(error) ?? 'EIO',
        argument: box,
        message: `${counted(inBoxes.size, 'file')} of session ${name} may be in box ${box} of the descriptor store only, so the session stays as it is. Looking into it failed: ${saidBy(error)}`,
      });
    }
  }
  // What is in no box is lost.
  inBoxes.clear();
}
