// SPDX-License-Identifier: Apache-2.0
/**
 * The files that a VMM uses, as the carrier will find them or not. They are on the root file system or on one that is
 * mounted later, below `/dev` or below `/run`. Files are looked at and never opened. A descriptor is looked at through
 * procfs, so that its name decides nothing.
 */
import type { Stats } from 'node:fs';
import { lstat, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Need, Owned } from '../../adoption/vmm-facts.ts';
import { accessMode } from '../../host/access-mode.ts';
import { visible } from '../../host/plain-words.ts';
import { seenBy } from '../../host/seen-by.ts';
import { descriptorLinks } from '../../machines/open-files.ts';
import { isPlace } from '../../machines/vmm-file-kind.ts';
import type { HostMounts } from './host-mounts.ts';
import { isWithin } from './named-paths.ts';
import { mountNeeds } from './needs.ts';
import { readStart } from './vmm-status.ts';

/** What the files say. */
export interface VmmFiles {
  readonly nodes: Owned[];
  readonly writesRoot: boolean;
  readonly needs: readonly Need[];
  readonly obstacle: string | null;
}

/** The host that a VMM runs on, as far as files are concerned. */
export interface FileHost {
  /** Where procfs is mounted. */
  readonly proc: string;
  readonly pid: number;
  /** The number of the root file system's device. */
  readonly rootDevice: number;
  readonly mounts: HostMounts;
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

/** Links that udev makes once a device can be used, each with the device's kind and number. */
export type DeviceLinks = ReadonlyMap<string, string>;

const deviceKey = (facts: Stats): string => `${facts.isBlockDevice() ? 'block' : 'character'} ${facts.rdev}`;
const isDevice = (facts: Stats): boolean => facts.isBlockDevice() || facts.isCharacterDevice();

/** Links of the kernel and of systemd below `/dev`. They lead to what a process has open, not to a device. */
const toDescriptors = ['/dev/fd', '/dev/stdin', '/dev/stdout', '/dev/stderr', '/dev/core'];

/** Whether a path below `/dev` may be a link of udev's: it is written plainly, and not where every user may make files. */
const isUdevs = (path: string): boolean =>
  isWithin(path, '/dev') &&
  !path.split('/').some((part) => part === '.' || part === '..') &&
  ![...toDescriptors, ...mountedLater].some((each) => isWithin(path, each));

/**
 * Whether only root can change what a path leads to: in the next kernel root gives away the device at its end. A user's
 * link there could lead to another device by then.
 */
async function isRootsWay(proc: string, pid: number, path: string): Promise<boolean> {
  const { uid: root } = await stat(seenBy(proc, pid, '/'));
  for (let at = dirname(path); at !== '/'; at = dirname(at)) {
    const facts = await lstat(seenBy(proc, pid, at)).catch(() => null);
    if (!facts?.isDirectory() || facts.uid !== root || (facts.mode & 0o022) !== 0) return false;
  }
  return true;
}

/** The devices to which links lead that it names. */
export async function namedDevices({ proc, pid }: FileHost, named: readonly string[]): Promise<DeviceLinks> {
  const found = new Map<string, string>();
  for (const path of named.slice(0, mostPaths)) {
    if (!isUdevs(path) || !(await isRootsWay(proc, pid, path))) continue;
    const link = await lstat(seenBy(proc, pid, path)).catch(() => null);
    const facts = link?.isSymbolicLink() ? await stat(seenBy(proc, pid, path)).catch(() => null) : null;
    if (facts !== null && isDevice(facts)) found.set(path, deviceKey(facts));
  }
  return found;
}

/**
 * What it has open.
 *
 * @param preserved paths of its memory, which comes through by itself
 * @param devices as `namedDevices` found them: the number in a node's own name may be another's in the next kernel
 */
export async function openedFiles(
  host: FileHost,
  preserved: ReadonlySet<string>,
  devices: DeviceLinks,
): Promise<VmmFiles> {
  const { proc, pid, rootDevice, mounts } = host;
  const links = await descriptorLinks(proc, pid);
  if (links.length > mostDescriptors) throw new Error(`it has more than ${mostDescriptors} open files`);
  const linkTo = new Map([...devices].map(([path, device]) => [device, path]));
  const nodes = new Map<string, Owned>();
  const needs: Need[] = [];
  let [obstacle, writesRoot]: [string | null, boolean] = [null, false];
  for (const { fd, name } of links) {
    // Standard streams lead to logs and terminals, and the carrier gives it others.
    if (fd <= 2 || !isPlace(name)) continue;
    const facts = await stat(`${proc}/${pid}/fd/${fd}`).catch(() => null);
    if (facts === null) continue;
    if (isDevice(facts)) {
      const link = linkTo.get(deviceKey(facts));
      const path = link ?? name;
      if (link === undefined && isReadyLater(name))
        obstacle ??= `its device ${visible(name)} is set up later`;
      else if (facts.nlink > 0 && isWithin(path, '/dev')) {
        // A disk's own name may be another disk's in the next kernel, which is not to be given away.
        if (link !== undefined || !facts.isBlockDevice()) nodes.set(path, ownedNode(path, facts));
        needs.push({ kind: 'present', what: path });
      }
    } else if (facts.isFile() && facts.nlink > 0 && !preserved.has(name)) {
      const points = mounts.above(name);
      if (points.length > 0) {
        const on = await mountNeeds(mounts, name, points);
        needs.push(...on.needs);
        obstacle ??= on.obstacle;
      } else if (facts.dev === rootDevice) writesRoot ||= await isWritten(proc, pid, fd);
      else if (!isMade(name)) obstacle ??= `its file ${visible(name)} ${onlyRoot}`;
    }
  }
  return { nodes: [...nodes.values()], writesRoot, needs, obstacle };
}

/**
 * Block devices that something of the host sets up: device mapper, RAID, and those over a network. Their nodes are there
 * before they can be used, empty or with nothing behind them, so it is no use to wait for one. A link of udev's to it is.
 */
const isReadyLater = (path: string): boolean => /^\/dev\/(dm-|md|loop|nbd|rbd|drbd|zd|mapper\/)/.test(path);

/** Whether a file is open for writing. What is unknown counts as written. */
const isWritten = async (proc: string, pid: number, fd: number): Promise<boolean> =>
  accessMode(await readStart(`${proc}/${pid}/fdinfo/${fd}`)) !== 'read';

/**
 * What its paths are. One that does not exist is judged by the nearest directory that does: it is made there.
 *
 * @param needed paths that must exist: its program and its working directory
 */
export async function namedFiles(
  host: FileHost,
  named: readonly string[],
  needed: Readonly<Record<string, string>>,
  devices: DeviceLinks,
): Promise<Omit<VmmFiles, 'nodes'>> {
  if (named.length > mostPaths) throw new Error(`its words name more than ${mostPaths} paths`);
  const { proc, pid, rootDevice, mounts } = host;
  const needs: Need[] = [];
  let writesRoot = false;
  const left = (obstacle: string): Omit<VmmFiles, 'nodes'> => ({ writesRoot, needs, obstacle });
  for (const [what, path] of Object.entries(needed)) {
    const facts = await stat(seenBy(proc, pid, path)).catch(() => null);
    if (facts === null) return left(`its ${what} ${visible(path)} is not there`);
    const { needs: found, obstacle } = await mountNeeds(mounts, path, await mounts.onTheWay(pid, path));
    needs.push(...found);
    if (obstacle !== null) return left(`its ${what} ${obstacle}`);
    if (facts.dev !== rootDevice && found.length === 0 && !isMade(path))
      return left(`its ${what} ${visible(path)} ${onlyRoot}`);
  }
  for (const path of named) {
    const link = await lstat(seenBy(proc, pid, path)).catch(() => null);
    if (devices.has(path)) {
      needs.push({ kind: 'present', what: path });
      continue;
    }
    if (isWithin(path, '/dev') && link?.isSymbolicLink())
      return left(`${visible(path)} is a link that is made later`);
    const { needs: found, obstacle } = await mountNeeds(mounts, path, await mounts.onTheWay(pid, path));
    needs.push(...found);
    if (obstacle !== null) return left(obstacle);
    if (isMade(path) || found.length > 0) continue;
    const facts = await nearest(proc, pid, path);
    if (facts.dev !== rootDevice || (link !== null && link.dev !== rootDevice))
      return left(`${visible(path)} ${onlyRoot}`);
    // It makes its sockets again.
    writesRoot ||= facts.isSocket();
  }
  return { writesRoot, needs, obstacle: null };
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
