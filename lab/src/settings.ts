// SPDX-License-Identifier: Apache-2.0
/**
 * What is known about a lab host before it runs: its name, what it is made of, and where its files
 * are. Everything of one host is in one directory, which outlives the cache and is gone with the
 * host. The name becomes a file name, a host name and a part of socket paths, hence its limits.
 */

import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exists, stateRoot } from './cache.ts';
import { parseSuite, type Suite } from './image.ts';

/**
 * What a second network card is connected to: its Ethernet frames go as UDP datagrams between two loopback ports. Two
 * hosts are on one wire if each has the other's ports the other way round.
 */
export interface Wire {
  /** Where the host takes frames. */
  readonly hostPort: number;
  /** Where it sends them. */
  readonly peerPort: number;
}

/** What a host was created with; kept in its directory as host.json. */
export interface HostSettings {
  readonly name: string;
  readonly suite: Suite;
  /** Memory in MiB. */
  readonly memoryMiB: number;
  /** The bzImage that was copied into the host's directory when it was made. */
  readonly kernel: string;
  /** Added to the kernel's command line. */
  readonly kernelArguments: readonly string[];
  /** The virtual machine's UUID; what makes it somebody on its network. */
  readonly uuid: string;
  /** Loopback port that leads to the host's SSH. Chosen anew when it is taken at power-on. */
  readonly sshPort: number;
  /** Of a second network card; none if it is not given. */
  readonly wire?: Wire | undefined;
}

/** The files of one host. */
export interface HostFiles {
  readonly directory: string;
  readonly settings: string;
  readonly image: string;
  readonly kernel: string;
  readonly disk: string;
  readonly userKey: string;
  readonly hostKey: string;
  readonly knownHosts: string;
  readonly sshConfig: string;
  readonly credential: string;
  readonly serialLog: string;
  readonly serialSocket: string;
  readonly qmpSocket: string;
  readonly events: string;
  readonly qemuLog: string;
  readonly pid: string;
  /** Locked by QEMU for as long as it lives. */
  readonly alive: string;
}

/** Memory of a host that nobody said more about, in MiB. */
export const defaultMemoryMiB = 2048;

const namePattern = /^[a-z][a-z0-9-]{0,30}$/;
// sun_path holds 108 bytes with its NUL; ssh binds a control socket under a longer temporary name.
const longestDirectoryBytes = 107 - '/control-12345678.0123456789abcdef'.length;

/**
 * The paths of a host's files.
 *
 * @param name the host's name
 * @throws RangeError when the name cannot be a host's name, or the directory's path is too long
 *   for the sockets in it
 */
export function hostFiles(name: string): HostFiles {
  if (!namePattern.test(name)) {
    throw new RangeError(
      `host name ${JSON.stringify(name)}: expected up to 31 of a-z, 0-9 and -, beginning with a letter`,
    );
  }
  const directory = join(stateRoot(), name);
  if (Buffer.byteLength(directory) > longestDirectoryBytes) {
    throw new RangeError(
      `host directory ${directory}: ${Buffer.byteLength(directory)} bytes, expected at most ` +
        `${longestDirectoryBytes}, because sockets are made in it; set XDG_STATE_HOME to a shorter path`,
    );
  }
  const file = (base: string): string => join(directory, base);
  return {
    directory,
    settings: file('host.json'),
    image: file('root.img'),
    kernel: file('vmlinuz'),
    disk: file('disk.qcow2'),
    userKey: file('id_ed25519'),
    hostKey: file('ssh_host_ed25519_key'),
    knownHosts: file('known_hosts'),
    sshConfig: file('ssh_config'),
    credential: file('tmpfiles.extra'),
    serialLog: file('serial.log'),
    serialSocket: file('serial.sock'),
    qmpSocket: file('qmp.sock'),
    events: file('events.log'),
    qemuLog: file('qemu.log'),
    pid: file('qemu.pid'),
    alive: file('alive.lock'),
  };
}

/** Lock file that is held while a host is made, switched on or thrown away. */
export function hostLock(name: string): string {
  return join(stateRoot(), `.${name}.lock`);
}

/** The settings of a host, or undefined if there is no such host. */
export async function readSettings(name: string): Promise<HostSettings | undefined> {
  const { settings } = hostFiles(name);
  if (!(await exists(settings))) return undefined;
  const stored = JSON.parse(await readFile(settings, 'utf8')) as HostSettings;
  return { ...stored, suite: parseSuite(stored.suite) };
}

export async function writeSettings(settings: HostSettings): Promise<void> {
  const files = hostFiles(settings.name);
  await mkdir(files.directory, { recursive: true, mode: 0o700 });
  // Renamed into place: a host with half a host.json could not even be thrown away.
  await writeFile(`${files.settings}.new`, `${JSON.stringify(settings, null, 2)}\n`);
  await rename(`${files.settings}.new`, files.settings);
}

/** Names of all hosts, running or not, in alphabetical order. */
export async function hostNames(): Promise<string[]> {
  const entries = await readdir(stateRoot(), { withFileTypes: true }).catch(() => []);
  const names = entries
    .filter((entry) => entry.isDirectory() && namePattern.test(entry.name))
    .map(({ name }) => name);
  const made = await Promise.all(names.map(async (name) => exists(hostFiles(name).settings)));
  return names.filter((_, index) => made[index]).sort();
}

/**
 * An amount of memory from the command line.
 *
 * @param text such as `2G`, `1536M`
 * @returns MiB
 * @throws RangeError for anything else, or less than 512M, in which the host does not start
 */
export function parseMemory(text: string): number {
  const match = /^([1-9]\d*)([MG])$/i.exec(text);
  const mebibytes = match ? Number(match[1]) * (match[2]?.toUpperCase() === 'G' ? 1024 : 1) : Number.NaN;
  if (mebibytes >= 512) return mebibytes;
  throw new RangeError(`memory ${JSON.stringify(text)}: expected a number with M or G, at least 512M`);
}
