// SPDX-License-Identifier: Apache-2.0
/**
 * What procfs says of one process: who it is, and which files it has mapped. A process can end between two
 * questions and its number be given to another one; the time at which it was started tells them apart.
 */
import { readFileSync } from 'node:fs';
import { readdir, readFile, readlink, stat, statfs } from 'node:fs/promises';
import { basename } from 'node:path';
import { seenBy } from './seen-by.ts';

/** The process ended while it was looked at. */
export class ProcessGone extends Error {
  constructor(pid: number) {
    super(`process ${pid} ended`);
    this.name = 'ProcessGone';
  }
}

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot, field 22 of `/proc/PID/stat` (proc_pid_stat(5)). */
  readonly startTime: string;
}

/** @returns null if there is no such process, or only a zombie of it, which has no files any more */
export async function identify(proc: string, pid: number): Promise<ProcessIdentity | null> {
  return identityIn(pid, await readFile(`${proc}/${pid}/stat`, 'latin1').catch(() => null));
}

/** Whether a process is the one that it was; no, if it has ended. */
export function isStill(proc: string, { pid, startTime }: ProcessIdentity): boolean {
  try {
    return identityIn(pid, readFileSync(`${proc}/${pid}/stat`, 'latin1'))?.startTime === startTime;
  } catch {
    return false;
  }
}

/** @param text of its `stat`; null if there is none */
function identityIn(pid: number, text: string | null): ProcessIdentity | null {
  // The command in parentheses may hold blanks and parentheses; the fields after the last one are plain.
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ');
  const startTime = fields?.[19];
  if (!startTime || fields?.[0] === 'Z' || fields?.[0] === 'X') return null;
  return { pid, startTime };
}

/**
 * @throws ProcessGone unless the process is still the one it was. One that is ending gives up its files before
 *   its number, so one without any is gone as well.
 */
export async function stillThere(proc: string, identity: ProcessIdentity): Promise<void> {
  const [now, files] = await Promise.all([
    identify(proc, identity.pid),
    readdir(`${proc}/${identity.pid}/fd`).catch(() => []),
  ]);
  if (now?.startTime !== identity.startTime || files.length === 0) throw new ProcessGone(identity.pid);
}

/** The words of its command line; empty for a kernel thread or a process that is gone. */
export async function commandLineOf(proc: string, pid: number): Promise<string[]> {
  const text = await readFile(`${proc}/${pid}/cmdline`, 'utf8').catch(() => '');
  const words = text.split('\0');
  if (words.at(-1) === '') words.pop();
  return words;
}

/**
 * The user and the group that decide what a process may do: the second of the four in `/proc/PID/status`, real,
 * effective, saved and of the file system (proc_pid_status(5)).
 *
 * @throws SystemError ENOENT, ESRCH if there is no such process
 */
export async function effectiveUser(proc: string, pid: number): Promise<{ uid: number; gid: number }> {
  const status = await readFile(`${proc}/${pid}/status`, 'latin1');
  const effective = (key: string): number => {
    const found = new RegExp(`^${key}:\\t\\d+\\t(\\d+)`, 'm').exec(status)?.[1];
    if (found === undefined) throw new Error(`/proc/${pid}/status has no ${key}`);
    return Number(found);
  };
  return { uid: effective('Uid'), gid: effective('Gid') };
}

/** The base name of the program it runs, without the mark of one that was replaced since; null if nobody may know. */
export async function programOf(proc: string, pid: number): Promise<string | null> {
  const link = await readlink(`${proc}/${pid}/exe`).catch(() => null);
  return link === null ? null : basename(link.replace(/ \(deleted\)$/, ''));
}

/** Whether the file of the program it runs was replaced or removed since it was started. */
export async function programWasReplaced(proc: string, pid: number): Promise<boolean> {
  const link = await readlink(`${proc}/${pid}/exe`).catch(() => '');
  return link.endsWith(' (deleted)');
}

/** File systems whose files are in memory (statfs(2)): tmpfs and ramfs. */
const inMemory: ReadonlySet<number> = new Set([0x01021994, 0x858458f6]);

/** Those of a process's regular files, by their paths, that are on a file system in memory. */
export async function filesInMemory(proc: string, pid: number, paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    paths.map(async (path) => {
      const seen = seenBy(proc, pid, path);
      const isFile = (await stat(seen).catch(() => null))?.isFile() ?? false;
      return isFile && inMemory.has((await statfs(seen)).type);
    }),
  );
  return paths.filter((_path, index) => found[index]);
}

/** One file that a process has mapped. */
export interface MappedFile {
  /** As the kernel shows it, for example `/memfd:ram (deleted)`. */
  readonly name: string;
  /** Range of the first of its mappings, `start-end` as under `/proc/PID/map_files`. */
  readonly range: string;
  /** Bytes mapped shared and writable: what the process writes there is in the file. */
  readonly shared: number;
  /** Bytes mapped privately and writable: what the process writes there is not in the file. */
  readonly private: number;
}

const mapping = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) [0-9a-f]+ ([0-9a-f]+):([0-9a-f]+) (\d+) +(\/.*)$/;

/** `st_dev` as stat(2) has it, from major and minor number (gnu_dev_makedev(3), for numbers up to 12 and 20 bits). */
const deviceOf = (major: number, minor: number): number =>
  (minor & 0xff) + major * 0x100 + (minor >>> 8) * 0x100000;

/** What tells one file from another: its file system and its number there. */
export const fileKey = (device: number, inode: number): string => `${device}:${inode}`;

/**
 * The files that are mapped writable, by `fileKey`, from `/proc/PID/maps` (proc_pid_maps(5)).
 *
 * Names of memfds begin with `/memfd:`; the kernel writes a line break in a name as `\012`.
 */
export async function mappedFiles(proc: string, pid: number): Promise<Map<string, MappedFile>> {
  const found = new Map<string, MappedFile>();
  const text = await readFile(`${proc}/${pid}/maps`, 'utf8').catch(() => '');
  for (const line of text.split('\n')) {
    const match = mapping.exec(line);
    if (!match) continue;
    const [, start = '', end = '', permissions = '', major = '', minor = '', inode = '', name = ''] = match;
    if (permissions[1] !== 'w') continue;
    const key = fileKey(deviceOf(Number.parseInt(major, 16), Number.parseInt(minor, 16)), Number(inode));
    const bytes = Number(BigInt(`0x${end}`) - BigInt(`0x${start}`));
    const before = found.get(key) ?? { name, range: `${start}-${end}`, shared: 0, private: 0 };
    const how = permissions[3] === 's' ? 'shared' : 'private';
    found.set(key, { ...before, [how]: before[how] + bytes });
  }
  return found;
}
