// SPDX-License-Identifier: Apache-2.0
/**
 * Why the carrier could not bring a machine back. It begins while hardly anything of the host is there, and waits for
 * what the host makes by itself (`needs.ts`). What no boot makes, and what cannot be seen to be ready, is an obstacle. Such
 * a machine is left to the agent. One whose security label cannot be given to a VMM is not carried over at all: the agent
 * could not give it back either (`vmm-facts.ts`).
 */
import { readlink, stat } from 'node:fs/promises';
import { visible } from '../../host/plain-words.ts';
import { errnoOf } from '../../host/refusal.ts';
import { saidBy } from '../../host/said-by.ts';
import { type Profile, readLabel } from '../../host/security-label.ts';
import { type Options, readOptions } from '../../qemu/command-line.ts';

/** The namespaces that the carrier's VMMs share with process 1, and what they are of (namespaces(7)). */
const namespaces: Readonly<Record<string, string>> = {
  mnt: 'mount',
  pid: 'process',
  net: 'network',
  user: 'user',
  ipc: 'IPC',
  uts: 'host name',
};

/** What a namespace of a process and of process 1 is; null if it cannot be read. */
const namespaceOf = (proc: string, pid: number, name: string): Promise<(string | null)[]> =>
  Promise.all([pid, 1].map((each) => readlink(`${proc}/${each}/ns/${name}`).catch(() => null)));

/** Whether it is, or may be, in another user namespace than process 1. */
export async function hasUserNamespace(proc: string, pid: number): Promise<boolean> {
  const [own, first] = await namespaceOf(proc, pid, 'user');
  // A kernel without user namespaces shows none of any process.
  return own !== first;
}

/** Those that decide what a process can reach. */
export const reachKinds: readonly string[] = ['mnt', 'pid', 'net', 'ipc'];

/** Null if it has the namespaces, and the root directory, of process 1. @param kinds of namespaces; all if none are given */
export async function namespaceObstacle(
  proc: string,
  pid: number,
  kinds: readonly string[] = Object.keys(namespaces),
): Promise<string | null> {
  for (const name of kinds) {
    const meaning = namespaces[name] ?? name;
    const [own, first] = await namespaceOf(proc, pid, name);
    if (own === null || first === null) return `its ${meaning} namespace cannot be read`;
    if (own !== first) return `it has its own ${meaning} namespace`;
  }
  const [own, first] = await Promise.all([pid, 1].map((each) => stat(`${proc}/${each}/root/`)));
  return own?.dev === first?.dev && own?.ino === first?.ino ? null : 'it has another root directory';
}

/**
 * The profile of AppArmor that confines a process, and why its label cannot be given to another process. Both are null if
 * no security module confines it.
 */
export function labelOf(proc: string, pid: number): { profile: Profile | null; obstacle: string | null } {
  try {
    const label = readLabel(proc, pid);
    const { text = '', profile = null, why = null } = label ?? {};
    const obstacle = why && `it is confined by the security label ${visible(text)}, ${visible(why)}`;
    return { profile, obstacle };
  } catch (error) {
    const why = errnoOf(error) ?? saidBy(error);
    return { profile: null, obstacle: `its security label cannot be read: ${why}` };
  }
}

const netOptions: ReadonlySet<string> = new Set(['-netdev', '-nic', '-net']);

/** The options of its network devices on the host's side. A tap that was handed to it is not among them. */
export const netdevsIn = (words: readonly string[]): Options[] =>
  words
    .filter((_word, index) => netOptions.has((words[index - 1] ?? '').replace(/^--/, '-')))
    .map((word) => readOptions(word, 'type'))
    .filter((options) => !options.has('fd') && !options.has('fds'));

/** Null if no script sets its taps up: QEMU makes them by itself, or has its helper put them on a bridge. */
export function tapObstacle(words: readonly string[]): string | null {
  const scripted = netdevsIn(words).some(
    (options) =>
      options.get('type') === 'tap' &&
      !options.has('helper') &&
      !['no', ''].includes(options.get('script') ?? 'the usual one'),
  );
  return scripted ? 'its tap is set up by a script' : null;
}

/** Null if the carrier takes the path of its monitor: it refuses a program as a whole (`is_path`, program.c). */
export const monitorObstacle = (path: string): string | null =>
  path.startsWith('/') ? null : `its monitor's path ${visible(path)} is not absolute`;
