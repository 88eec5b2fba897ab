// SPDX-License-Identifier: Apache-2.0
/**
 * Names of another user's sockets and files, given to something else for a while. The agent is root, and that user may
 * put a link in place of a directory at any time. So it renames only where the user could do it as well:
 *
 * - What is renamed belongs to the user, and so does what it takes the place of.
 * - The directory is opened once, from the root down. A link on the way that somebody else than root can put there counts
 *   only if it leads to a directory of the user.
 * - In a directory with the sticky bit users rename only what is theirs, and root all. So it must be the user's.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  renameSync,
  rmSync,
  type Stats,
} from 'node:fs';
import { basename, dirname } from 'node:path';

/** A name that something had, and the one that it has meanwhile, in the same directory. */
export interface SetAside {
  readonly path: string;
  readonly aside: string;
}

/** What links may lead on to before it is given up, as in the kernel (`MAXSYMLINKS`, include/linux/namei.h). */
const mostLinks = 40;
const sticky = 0o1000;
const writableByOthers = 0o022;

const openDirectory = (path: string): number =>
  openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
const within = (directory: number, name: string): string => `/proc/self/fd/${directory}/${name}`;

/** Whether only root can put something into a directory in place of what has this owner. */
function isRootsOnly(directory: Stats, owner: number): boolean {
  const isShared = (directory.mode & writableByOthers) !== 0 && (directory.mode & sticky) === 0;
  return directory.uid === 0 && owner === 0 && !isShared;
}

interface OpenDirectory {
  /** Its number, for the caller to close. */
  readonly fd: number;
  /** Why a user could not have done there what is to be done; null if they could. */
  readonly why: string | null;
}

/**
 * Opens the directory of a path. A link's absolute target begins at the root that paths are reached from.
 *
 * @returns null if it is not there
 * @throws Error of open(2)
 */
function openOwn(reach: (path: string) => string, path: string, uid: number): OpenDirectory | null {
  const rest = dirname(path).split('/');
  let links = 0;
  let isDoubtful = false;
  // The root itself may be reached through a link: of procfs, or of whoever calls.
  const openRoot = (): number => openSync(reach('/'), constants.O_RDONLY | constants.O_DIRECTORY);
  let fd = openRoot();
  const goTo = (next: number): void => {
    closeSync(fd);
    fd = next;
  };
  try {
    for (let part = rest.shift(); part !== undefined; part = rest.shift()) {
      if (part === '') continue;
      const found = lstatSync(within(fd, part), { throwIfNoEntry: false });
      if (found === undefined) {
        closeSync(fd);
        return null;
      }
      if (!found.isSymbolicLink()) {
        goTo(openDirectory(within(fd, part)));
        continue;
      }
      links += 1;
      if (links > mostLinks) throw new Error(`${path} leads through more than ${mostLinks} links`);
      isDoubtful ||= !isRootsOnly(fstatSync(fd), found.uid);
      const target = readlinkSync(within(fd, part));
      if (target.startsWith('/')) goTo(openRoot());
      rest.unshift(...target.split('/'));
    }
    return { fd, why: whyNotOwn(fstatSync(fd), uid, isDoubtful) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** @param isDoubtful whether somebody else than root can have it reached through another link */
function whyNotOwn(directory: Stats, uid: number, isDoubtful: boolean): string | null {
  if (isDoubtful && (directory.uid !== uid || uid === 0))
    return `a link that is not only root’s leads to its directory, which belongs to user ${directory.uid}`;
  if ((directory.mode & sticky) !== 0 && directory.uid !== uid)
    return `its directory has the sticky bit and belongs to user ${directory.uid}; expected ${uid}`;
  return null;
}

interface Within {
  /** How an entry is reached. */
  at(path: string): string;
  /** @throws Error if the user could not rename in there */
  need(): void;
  /** Whether there is something of that name that is the user's. @throws Error if it is somebody else's */
  has(path: string): boolean;
}

/** Does something in the directory of a path, where it is there. */
function inDirectory(
  reach: (path: string) => string,
  path: string,
  uid: number,
  work: (directory: Within) => void,
): void {
  const directory = openOwn(reach, path, uid);
  if (directory === null) return;
  const { fd, why } = directory;
  const at = (each: string): string => within(fd, basename(each));
  try {
    work({
      at,
      need: () => {
        if (why !== null) throw new Error(`${path}: ${why}`);
      },
      has: (each) => {
        const found = lstatSync(at(each), { throwIfNoEntry: false });
        if (found === undefined) return false;
        if (found.uid !== uid) throw new Error(`${each} belongs to user ${found.uid}; expected ${uid}`);
        return true;
      },
    });
  } finally {
    closeSync(fd);
  }
}

/**
 * Makes sure that something can be given another name.
 *
 * @param reach where a path is for this process
 * @param uid whose it must be
 * @throws Error as `setAside`, without changing anything
 */
export function needAside(reach: (path: string) => string, path: string, uid: number): void {
  inDirectory(reach, path, uid, (directory) => void canBeRenamed(directory, path));
}

function canBeRenamed({ at, has, need }: Within, path: string): boolean {
  if (!has(path)) return false;
  need();
  const found = lstatSync(at(path));
  if (!found.isSocket() && !found.isFile() && !found.isSymbolicLink())
    throw new Error(`${path} is no socket, file or link`);
  return true;
}

/**
 * Gives something another name. One that is not there is left out.
 *
 * @param reach where a path is for this process
 * @param uid whose it must be, and whose whatever has the other name must be
 * @throws Error if it is somebody else's, or is no socket, file or link; if the user could not rename it; of rename(2)
 */
export function setAside(reach: (path: string) => string, { path, aside }: SetAside, uid: number): void {
  inDirectory(reach, path, uid, (directory) => {
    const { at, has } = directory;
    if (!canBeRenamed(directory, path)) return;
    has(aside);
    renameSync(at(path), at(aside));
  });
}

/**
 * Gives it its name back, whatever of the user has that now. What is not there stays away.
 *
 * @throws Error if somebody else's has the name, or the user could not rename it; of rename(2)
 */
export function putBack(reach: (path: string) => string, { path, aside }: SetAside, uid: number): void {
  inDirectory(reach, path, uid, ({ at, has, need }) => {
    if (!has(aside)) return;
    need();
    has(path);
    renameSync(at(aside), at(path));
  });
}

/** Removes what nobody will put back. @throws Error if it is somebody else's, or not the user's to remove; of unlink(2) */
export function dropAside(reach: (path: string) => string, { path, aside }: SetAside, uid: number): void {
  inDirectory(reach, path, uid, ({ at, has, need }) => {
    if (!has(aside)) return;
    need();
    rmSync(at(aside));
  });
}
