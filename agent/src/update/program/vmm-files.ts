// SPDX-License-Identifier: Apache-2.0
/**
 * The files that a VMM uses, as the carrier will find them or not: on the root file system, below `/dev`, or below
 * `/run`. Files are looked at and never opened. A descriptor is looked at through procfs, so that its name decides
 * nothing.
 */
import type { Stats } from 'node:fs';
import { lstat, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Owned } from '../../adoption/vmm-facts.ts';
import { visible } from '../../host/plain-words.ts';
import { seenBy } from '../../host/seen-by.ts';
import { descriptorLinks } from '../../machines/open-files.ts';
import { isPlace } from '../../machines/vmm-file-kind.ts';
import { isWithin } from './named-paths.ts';
import { readStart } from './vmm-status.ts';

/** What the files say. */
export interface VmmFiles {
  readonly nodes: Owned[];
  readonly writesRoot: boolean;
  readonly obstacle: string | null;
}

/** More of them are looked at in no VMM. */
const mostDescriptors = 16_384;
const mostPaths = 1024;

const onlyRoot = 'is not on the root file system';

/** Directories whose files the carrier has or makes, without the parts that are mounted later. */
const made = ['/dev', '/proc', '/sys', '/run'];
const mountedLater = ['/dev/shm', '/dev/hugepages', '/dev/mqueue'];
const isMade = (path: string): boolean =>
  made.some((each) => isWithin(path, each)) && !mountedLater.some((each) => isWithin(path, each));

const owned = (path: string, { mode, uid, gid }: Stats): Owned => ({ path, mode: mode & 0o7777, uid, gid });

const ownedNode = (path: string, facts: Stats): Owned => ({
  ...owned(path, facts),
  mode: facts.mode & 0o777,
});

/** What it has open. @param preserved paths of its memory, which comes through by itself */
export async function openedFiles(
  proc: string,
  pid: number,
  rootDevice: number,
  preserved: ReadonlySet<string>,
): Promise<VmmFiles> {
  const links = await descriptorLinks(proc, pid);
  if (links.length > mostDescriptors) throw new Error(`it has more than ${mostDescriptors} open files`);
  const nodes = new Map<string, Owned>();
  let [obstacle, writesRoot]: [string | null, boolean] = [null, false];
  for (const { fd, name } of links) {
    // Standard streams lead to logs and terminals, and the carrier gives it others.
    if (fd <= 2 || !isPlace(name)) continue;
    const facts = await stat(`${proc}/${pid}/fd/${fd}`).catch(() => null);
    if (facts === null) continue;
    if (facts.isCharacterDevice() || facts.isBlockDevice()) {
      if (isMadeLater(name)) obstacle ??= `its device ${visible(name)} is set up later`;
      else if (facts.nlink > 0 && isWithin(name, '/dev')) nodes.set(name, ownedNode(name, facts));
    } else if (facts.isFile() && facts.nlink > 0 && !preserved.has(name)) {
      if (facts.dev === rootDevice) writesRoot ||= await isWritten(proc, pid, fd);
      else if (!isMade(name)) obstacle ??= `its file ${visible(name)} ${onlyRoot}`;
    }
  }
  return { nodes: [...nodes.values()], writesRoot, obstacle };
}

/** Block devices that something of the host sets up: device mapper, RAID, and those over a network. */
const isMadeLater = (path: string): boolean => /^\/dev\/(dm-|md|loop|nbd|rbd|drbd|zd|mapper\/)/.test(path);

/** O_WRONLY or O_RDWR among the flags that `/proc/PID/fdinfo` shows in octal (proc_pid_fdinfo(5)). */
async function isWritten(proc: string, pid: number, fd: number): Promise<boolean> {
  const flags = /^flags:\s*([0-7]+)$/m.exec(await readStart(`${proc}/${pid}/fdinfo/${fd}`))?.[1];
  return flags === undefined || (Number.parseInt(flags, 8) & 3) !== 0;
}

/**
 * What its paths are. One that does not exist is judged by the nearest directory that does: it is made there.
 *
 * @param needed paths that must exist: its program and its working directory
 */
export async function namedFiles(
  proc: string,
  pid: number,
  rootDevice: number,
  named: readonly string[],
  needed: Readonly<Record<string, string>>,
): Promise<Omit<VmmFiles, 'nodes'>> {
  if (named.length > mostPaths) throw new Error(`its words name more than ${mostPaths} paths`);
  let writesRoot = false;
  for (const [what, path] of Object.entries(needed)) {
    const facts = await stat(seenBy(proc, pid, path)).catch(() => null);
    if (facts === null) return { writesRoot, obstacle: `its ${what} ${visible(path)} is not there` };
    if (facts.dev !== rootDevice && !isMade(path))
      return { writesRoot, obstacle: `its ${what} ${visible(path)} ${onlyRoot}` };
  }
  for (const path of named) {
    const link = await lstat(seenBy(proc, pid, path)).catch(() => null);
    if (isWithin(path, '/dev') && link?.isSymbolicLink())
      return { writesRoot, obstacle: `${visible(path)} is a link that is made later` };
    if (isMade(path)) continue;
    const facts = await nearest(proc, pid, path);
    if (facts.dev !== rootDevice || (link !== null && link.dev !== rootDevice))
      return { writesRoot, obstacle: `${visible(path)} ${onlyRoot}` };
    // It makes its sockets again.
    writesRoot ||= facts.isSocket();
  }
  return { writesRoot, obstacle: null };
}

/** The file, or the nearest directory above it that is there. */
async function nearest(proc: string, pid: number, path: string): Promise<Stats> {
  for (let at = path; at !== '/'; at = dirname(at)) {
    const facts = await stat(seenBy(proc, pid, at)).catch(() => null);
    if (facts !== null) return facts;
  }
  return await stat(seenBy(proc, pid, '/'));
}

/**
 * Directories below `/run` that must be there for its paths: those that are there now, outermost first. A link on the
 * way is not followed.
 */
export async function runDirectories(proc: string, pid: number, paths: readonly string[]): Promise<Owned[]> {
  const found = new Map<string, Owned>();
  for (const path of paths) {
    const parts = path.split('/').filter((part) => part !== '');
    if (parts[0] !== 'run' || parts.includes('..') || parts.includes('.')) continue;
    // The last part is the file itself.
    for (let length = 2; length < parts.length; length += 1) {
      const directory = `/${parts.slice(0, length).join('/')}`;
      if (found.has(directory)) continue;
      const facts = await lstat(seenBy(proc, pid, directory)).catch(() => null);
      if (!facts?.isDirectory()) break;
      found.set(directory, owned(directory, facts));
    }
  }
  return [...found.values()];
}
