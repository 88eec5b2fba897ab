// SPDX-License-Identifier: Apache-2.0
/**
 * Names of another user's sockets and files, given to something else for a while. The directories may be that user's, who
 * can put a link in place of one at any time. So a directory is opened once. What is renamed in it must belong to the user,
 * who cannot put that into a directory of anybody else.
 */
import { closeSync, constants, existsSync, lstatSync, openSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname } from 'node:path';

/** A name that something had, and the one that it has meanwhile, in the same directory. */
export interface SetAside {
  readonly path: string;
  readonly aside: string;
}

/** Does something in the directory of a path. @param at how its entries are reached */
function inDirectory<Result>(path: string, work: (at: (name: string) => string) => Result): Result {
  const directory = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return work((each) => `/proc/self/fd/${directory}/${basename(each)}`);
  } finally {
    closeSync(directory);
  }
}

/**
 * Gives something another name. One that is not there is left out.
 *
 * @param reach where a path is for this process
 * @param uid whose it must be
 * @throws Error if it is somebody else's, or is no socket, file or link; of rename(2)
 */
export function setAside(reach: (path: string) => string, { path, aside }: SetAside, uid: number): void {
  inDirectory(reach(path), (at) => {
    const found = lstatSync(at(path), { throwIfNoEntry: false });
    if (found === undefined) return;
    if (found.uid !== uid) throw new Error(`${path} belongs to user ${found.uid}; expected ${uid}`);
    if (!found.isSocket() && !found.isFile() && !found.isSymbolicLink())
      throw new Error(`${path} is no socket, file or link`);
    renameSync(at(path), at(aside));
  });
}

/** Gives it its name back, whatever has that now. What is not there stays away. @throws Error of rename(2) */
export function putBack(reach: (path: string) => string, { path, aside }: SetAside, uid: number): void {
  if (!existsSync(dirname(reach(path)))) return;
  inDirectory(reach(path), (at) => {
    const found = lstatSync(at(aside), { throwIfNoEntry: false });
    if (found?.uid === uid) renameSync(at(aside), at(path));
  });
}

/** Removes what nobody will put back. @throws Error of unlink(2) */
export function dropAside(reach: (path: string) => string, { path, aside }: SetAside, uid: number): void {
  if (!existsSync(dirname(reach(path)))) return;
  inDirectory(reach(path), (at) => {
    if (lstatSync(at(aside), { throwIfNoEntry: false })?.uid === uid) rmSync(at(aside));
  });
}
