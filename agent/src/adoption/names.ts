// SPDX-License-Identifier: Apache-2.0
/**
 * Names of memory files that are in the way: the kernel preserves a file on tmpfs only once it has no name
 * (`mm/memfd_luo.c`). A name that was taken away cannot be given back to its file: the kernel does not link a file
 * without a link (linkat(2)). So the name becomes a symbolic link to the VMM's descriptor of the file. The link is good
 * for as long as that VMM runs.
 */
import { lstatSync, readlinkSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { seenBy } from '../host/seen-by.ts';

/** A name, and the VMM's descriptor of the file it belongs to. */
export interface TakenName {
  readonly path: string;
  readonly fd: number;
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
