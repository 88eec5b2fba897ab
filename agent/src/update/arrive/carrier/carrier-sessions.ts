// SPDX-License-Identifier: Apache-2.0
/** The sessions that the carrier's processes hold, as their descriptors show them: taken, and kept by somebody else. */
import { readdirSync, readlinkSync } from 'node:fs';
import type { Descriptor, Native } from '@luo-console/native';
import { inTime } from '../../../host/in-time.ts';
import type { KnownProcess } from '../../../host/known-process.ts';
import { errnoOf } from '../../../host/refusal.ts';
import { saidBy } from '../../../host/said-by.ts';
import { asOwnSession, type DescriptorStore } from '../../../liveupdate/descriptor-store.ts';
import type { HandedBack } from '../../../liveupdate/intake.ts';
import { parseStoredName } from '../../../liveupdate/stored-names.ts';

export interface TakenSessions {
  /** By name. */
  readonly sessions: ReadonlyMap<string, Descriptor>;
  /** What could not be taken, and why, in words. */
  readonly problems: readonly string[];
}

/** What the kernel calls the file of a session (`luo_session_getfile`, `kernel/liveupdate/luo_session.c`). */
const sessionLink = /^anon_inode:\[luo_session\] (.+)$/s;

/**
 * Takes a copy of each session's descriptor, once a name.
 *
 * @param proc where procfs is mounted
 * @param processes in the order in which they are asked; the second has what the first no longer has
 * @param known names of sessions that are in hand already
 */
export function takeSessions(
  native: Native,
  proc: string,
  processes: readonly KnownProcess[],
  known: ReadonlySet<string>,
): TakenSessions {
  const sessions = new Map<string, Descriptor>();
  const failed = new Map<string, string>();
  const unread: string[] = [];
  for (const { pid, pidfd } of processes) {
    try {
      for (const [name, fd] of sessionsOf(`${proc}/${pid}/fd`)) {
        if (known.has(name) || sessions.has(name)) continue;
        try {
          sessions.set(name, takeOne(native, pidfd, fd, name));
          failed.delete(name);
        } catch (error) {
          failed.set(name, errnoOf(error) ?? saidBy(error));
        }
      }
    } catch (error) {
      unread.push(`the descriptors of process ${pid}: ${errnoOf(error) ?? saidBy(error)}`);
    }
  }
  // One process that can be read is enough: both have the same.
  const problems = unread.length === processes.length ? unread : [];
  return {
    sessions,
    problems: [...problems, ...[...failed].map(([name, why]) => `session ${name}: ${why}`)],
  };
}

function* sessionsOf(directory: string): Generator<[string, number]> {
  for (const entry of readdirSync(directory)) {
    let link: string;
    try {
      link = readlinkSync(`${directory}/${entry}`);
    } catch {
      // It was closed since: a worker's descriptors come and go.
      continue;
    }
    const name = sessionLink.exec(link)?.[1];
    if (name !== undefined) yield [name, Number(entry)];
  }
}

/** @throws SystemError of pidfd_getfd(2) or the kernel's answer; Error if it is another session */
function takeOne(native: Native, pidfd: Descriptor, fd: number, name: string): Descriptor {
  const session = asOwnSession(native, native.descriptors.pidfdGetfd(pidfd, fd));
  try {
    const said = native.liveUpdate.sessionName(session);
    if (said !== name) throw new Error(`the kernel calls it ${said}`);
    return session;
  } catch (error) {
    session.close();
    throw error;
  }
}

/** The names of sessions that are in hand. */
export const namesOf = (handed: readonly HandedBack[]): Set<string> =>
  new Set(
    handed.flatMap(({ name }) => {
      const stored = parseStoredName(name);
      return stored.kind === 'session' ? [stored.session] : [];
    }),
  );

/**
 * Has the service manager keep the sessions.
 *
 * @param limitMs how long to wait for it
 * @returns whether somebody keeps them beside the agent, and what went wrong; null if nothing did
 */
export async function keepSessions(
  store: DescriptorStore,
  taken: TakenSessions['sessions'],
  limitMs: number,
): Promise<{ kept: boolean; problem: string | null }> {
  if (taken.size === 0) return { kept: true, problem: null };
  const late = (): Error => new Error(`the service manager did not answer in ${limitMs} ms`);
  try {
    store.needRoom(taken.size);
    for (const [name, descriptor] of taken) store.keepSession(name, descriptor);
    return { kept: await inTime(store.settled(), limitMs, late), problem: null };
  } catch (error) {
    return { kept: false, problem: saidBy(error) };
  }
}
