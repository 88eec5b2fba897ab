// SPDX-License-Identifier: Apache-2.0
/**
 * Why the carrier could not bring a machine back. It works while hardly anything of the host is there: the root file
 * system, `/dev` without udev's links, and an empty `/run`. No other file system is mounted, no bridge is made, and no
 * security policy is loaded. Such a machine is left to the agent.
 */
import { readlink, stat } from 'node:fs/promises';
import { visible } from '../../host/plain-words.ts';
import { readOptions } from '../../qemu/command-line.ts';
import { readStart } from './vmm-status.ts';

/** The namespaces that the carrier's VMMs share with process 1, and what they are of (namespaces(7)). */
const namespaces: Readonly<Record<string, string>> = {
  mnt: 'mount',
  pid: 'process',
  net: 'network',
  user: 'user',
  ipc: 'IPC',
  uts: 'host name',
};

/** Null if it has all namespaces, and the root directory, of process 1. */
export async function namespaceObstacle(proc: string, pid: number): Promise<string | null> {
  for (const [name, meaning] of Object.entries(namespaces)) {
    const [own, first] = await Promise.all(
      [pid, 1].map((each) => readlink(`${proc}/${each}/ns/${name}`).catch(() => null)),
    );
    if (own === null || first === null) return `its ${meaning} namespace cannot be read`;
    if (own !== first) return `it has its own ${meaning} namespace`;
  }
  const [own, first] = await Promise.all([pid, 1].map((each) => stat(`${proc}/${each}/root/`)));
  return own?.dev === first?.dev && own?.ino === first?.ino ? null : 'it has another root directory';
}

/** What a process has before a policy is loaded, or where none confines it: AppArmor and SMACK, then SELinux. */
const unconfined = /^(unconfined|kernel|_|)$|^[^:]+:[^:]+:(kernel|unconfined|unconfined_service)_t(:|$)/;

/** Null if no security module confines it. The carrier's VMMs are started before there is a policy. */
export async function labelObstacle(proc: string, pid: number): Promise<string | null> {
  // Without such a module the file is not there, or cannot be read.
  const text = await readStart(`${proc}/${pid}/attr/current`).catch(() => '');
  const label = text.replace(/[\0\n]+$/, '');
  return unconfined.test(label) ? null : `it is confined by the security label ${visible(label)}`;
}

const netOptions: ReadonlySet<string> = new Set(['-netdev', '-nic', '-net']);

/** Null if QEMU makes all its taps by itself. */
export function tapObstacle(words: readonly string[]): string | null {
  for (const [index, word] of words.entries()) {
    if (!netOptions.has((words[index - 1] ?? '').replace(/^--/, '-'))) continue;
    const options = readOptions(word, 'type');
    const type = options.get('type');
    const bridged = type === 'bridge' || options.has('br') || options.has('helper');
    if ((type === 'tap' || type === 'bridge') && bridged) return 'it has a tap on a bridge';
    if (type !== 'tap' || options.has('fd') || options.has('fds')) continue;
    if (!['no', ''].includes(options.get('script') ?? 'the usual one'))
      return 'its tap is set up by a script';
  }
  return null;
}
