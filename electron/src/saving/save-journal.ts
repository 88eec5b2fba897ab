// SPDX-License-Identifier: Apache-2.0
/** Asks the person for a place and writes a host's journal there: from the host, or from its copy while it is away. */
import type { Connections } from '../connections/connections.ts';
import type { HostList } from '../hosts/host-list.ts';
import type { AskWhere } from './ask-where.ts';
import { writeJournalFile } from './journal-file.ts';

export interface SaveOptions {
  readonly hosts: HostList;
  readonly connections: Connections;
  readonly ask: AskWhere;
}

/**
 * @param host the host's id
 * @returns where to and how many entries; `path` is null if the person cancelled
 * @throws ConsoleError HostNotFound, NothingKnown, FileUnusable; the agent's errors
 */
export async function saveJournal(
  host: string,
  { hosts, connections, ask }: SaveOptions,
): Promise<{ path: string | null; entries: number }> {
  const { name } = hosts.get(host);
  const pieces = connections.journalLines(host);
  const day = new Date().toISOString().slice(0, 10);
  const path = await ask({
    title: `Save the journal of ${name}`,
    name: `journal-${name}-${day}`,
    ending: 'jsonl',
    kind: 'JSON Lines',
  });
  return path === null ? { path, entries: 0 } : { path, entries: await writeJournalFile(path, pieces) };
}
