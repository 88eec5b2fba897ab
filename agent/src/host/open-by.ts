// SPDX-License-Identifier: Apache-2.0
/**
 * Who has a file open. The kernel keeps no such list; every process's descriptors are links under
 * `/proc/PID/fd`, and the one that points at the file tells. Processes come and go while this looks: what has
 * vanished is passed over.
 */
import type { Stats } from 'node:fs';
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { accessMode } from './access-mode.ts';
import { visible } from './plain-words.ts';

export interface Holder {
  readonly pid: number;
  readonly command: string;
}

/** The daemon of upstream's own luo-agent. It keeps the live update device open as long as it runs. */
export const upstreamDaemon = 'luod';

/** What a process calls itself (`/proc/PID/comm`), made harmless: it can call itself anything. Null if it is gone. */
export async function commandOf(proc: string, pid: number): Promise<string | null> {
  try {
    return visible((await readFile(`${proc}/${pid}/comm`, 'utf8')).replace(/\n$/, ''));
  } catch {
    return null;
  }
}

/**
 * The processes, other than this one, that have a path open.
 *
 * @param proc where procfs is mounted.
 * @param path as the link in `/proc/PID/fd` shows it.
 */
export async function holdersOf(proc: string, path: string): Promise<Holder[]> {
  const holders: Holder[] = [];
  for (const entry of await readdir(proc).catch(() => [])) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    if (await hasOpen(`${proc}/${pid}/fd`, path)) {
      holders.push({ pid, command: (await commandOf(proc, pid)) ?? 'gone' });
    }
  }
  return holders;
}

async function hasOpen(directory: string, path: string): Promise<boolean> {
  const numbers = await readdir(directory).catch(() => []);
  for (const number of numbers) {
    if ((await readlink(`${directory}/${number}`).catch(() => '')) === path) return true;
  }
  return false;
}

/** A file or block device that is looked for among what processes have open. */
export interface WantedFile {
  readonly path: string;
  /** Of what the path leads to. Names may differ: there are links, and other mount namespaces. */
  readonly facts: Pick<Stats, 'dev' | 'ino' | 'rdev'> & Pick<Stats, 'isBlockDevice'>;
}

/**
 * A process, other than this one, that has one of these open for writing.
 *
 * Only a descriptor that may be such a file is followed: a file system elsewhere may not answer.
 *
 * @param proc where procfs is mounted
 * @returns the first with the path of what it has open; null if there is none
 */
export async function writerOf(
  proc: string,
  wanted: readonly WantedFile[],
): Promise<(Holder & Pick<WantedFile, 'path'>) | null> {
  if (wanted.length === 0) return null;
  for (const entry of await readdir(proc).catch(() => [])) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const path = await writtenBy(`${proc}/${pid}`, wanted);
    if (path !== null) return { pid, path, command: (await commandOf(proc, pid)) ?? 'gone' };
  }
  return null;
}

/** @param own the process's directory in procfs */
async function writtenBy(own: string, wanted: readonly WantedFile[]): Promise<string | null> {
  for (const fd of await readdir(`${own}/fd`).catch(() => [])) {
    const link = await readlink(`${own}/fd/${fd}`).catch(() => '');
    if (!link.startsWith('/')) continue;
    const info = await readFile(`${own}/fdinfo/${fd}`, 'utf8').catch(() => '');
    if ((accessMode(info) ?? 'read') === 'read') continue;
    // Of the node where it is a device: there may be several for one.
    const inode = Number(/^ino:\s*(\d+)$/m.exec(info)?.[1]);
    const mayBe = ({ facts }: WantedFile): boolean =>
      facts.ino === inode || (facts.isBlockDevice() && link.startsWith('/dev/'));
    if (!wanted.some(mayBe)) continue;
    const facts = await stat(`${own}/fd/${fd}`).catch(() => null);
    const found = wanted.find((each) => facts !== null && isSame(each.facts, facts));
    if (found) return found.path;
  }
  return null;
}

const isSame = (one: WantedFile['facts'], other: WantedFile['facts']): boolean =>
  one.isBlockDevice()
    ? other.isBlockDevice() && one.rdev === other.rdev
    : one.dev === other.dev && one.ino === other.ino;
