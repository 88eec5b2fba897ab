// SPDX-License-Identifier: Apache-2.0
/**
 * Who has a file open. The kernel keeps no such list; every process's descriptors are links under
 * `/proc/PID/fd`, and the one that points at the file tells. Processes come and go while this looks: what has
 * vanished is passed over.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';
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
