// SPDX-License-Identifier: Apache-2.0
/**
 * Names of memory files that are in the way: the kernel preserves a file on tmpfs only once it has no name
 * (`mm/memfd_luo.c`). A name that was taken away cannot be given back to its file: the kernel does not link a file
 * without a link (linkat(2)). So the name becomes a symbolic link to the VMM's descriptor of the file. The link is good
 * for as long as that VMM runs.
 */
import { lstatSync, readlinkSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { Refusal } from '../host/refusal.ts';
import { seenBy } from '../host/seen-by.ts';
import type { Machine } from '../interface/agent.generated.ts';
import type { AdoptionContext } from './adoption-context.ts';

/** A name, and the VMM's descriptor of the file it belongs to. */
export interface TakenName {
  readonly path: string;
  readonly fd: number;
}

/**
 * Takes away the names of a machine's memory files. Each is in the manifest before it is gone.
 *
 * @throws Refusal MachineUnusable if the VMM has no descriptor of one; what `takeName` throws
 */
export async function takeNames(
  { paths, sessions, journal }: Pick<AdoptionContext, 'paths' | 'sessions' | 'journal'>,
  session: string,
  { pid, descriptors, unlinks }: Machine,
): Promise<void> {
  for (const path of unlinks) {
    const fd = descriptors.find(({ name }) => name === path)?.fd ?? null;
    if (fd === null) throw new Refusal('MachineUnusable', { pid, name: path, reason: 'it is mapped only' });
    await journal.act('machine.unlink', { session, parameters: { pid, path } }, () => {
      const held = sessions.get(session);
      held.updateMachine({ unlinked: [...(held.machine?.unlinked ?? []), { path, fd }] });
      takeName(paths.proc, pid, { path, fd });
    });
  }
}

/** Puts links in place of all names that were taken away from a machine. */
export function putNamesBack(proc: string, pid: number, names: readonly TakenName[]): void {
  for (const name of names) putNameBack(proc, pid, name);
}

/**
 * Takes a name away, if it is still that of the file.
 *
 * @throws Error of unlink(2); Error if the name belongs to another file by now
 */
export function takeName(proc: string, pid: number, { path, fd }: TakenName): void {
  const named = statSync(seenBy(proc, pid, path));
  const open = statSync(`${proc}/${pid}/fd/${fd}`);
  if (named.dev !== open.dev || named.ino !== open.ino)
    throw new Error(`${path} is not the file that descriptor ${fd} of process ${pid} refers to`);
  rmSync(seenBy(proc, pid, path));
}

/** Puts a link in place of a name that was taken away, unless something has that name. */
export function putNameBack(proc: string, pid: number, { path, fd }: TakenName): void {
  const at = seenBy(proc, pid, path);
  if (lstatSync(at, { throwIfNoEntry: false })) return;
  symlinkSync(`/proc/${pid}/fd/${fd}`, at);
}

/** Takes a link away again that `putNameBack` made: its VMM has ended, so it leads nowhere. */
export function dropLink(pid: number, { path, fd }: TakenName): void {
  try {
    if (readlinkSync(path) === `/proc/${pid}/fd/${fd}`) rmSync(path);
  } catch {
    // It does not exist, or is something else by now.
  }
}
