// SPDX-License-Identifier: Apache-2.0
/** Asks the person for a place and writes a host's journal there: from the host, or from its copy while it is away. */
import { type BrowserWindow, dialog } from 'electron';
import type { Connections } from '../connections/connections.ts';
import type { HostList } from '../hosts/host-list.ts';
import { writeJournalFile } from './journal-file.ts';

export interface SaveOptions {
  readonly hosts: HostList;
  readonly connections: Connections;
  readonly window: () => BrowserWindow | null;
}

/**
 * @param host the host's id
 * @returns where to and how many entries; `path` is null if the person cancelled
 * @throws ConsoleError HostNotFound, NothingKnown, FileUnusable; the agent's errors
 */
export async function saveJournal(
  host: string,
  { hosts, connections, window }: SaveOptions,
): Promise<{ path: string | null; entries: number }> {
  const { name } = hosts.get(host);
  const pieces = connections.journalLines(host);
  const day = new Date().toISOString().slice(0, 10);
  const options = {
    title: `Save the journal of ${name}`,
    defaultPath: `journal-${name.replaceAll(/[^\p{L}\p{N}._-]+/gu, '-')}-${day}.jsonl`,
    filters: [{ name: 'JSON Lines', extensions: ['jsonl'] }],
  };
  const parent = window();
  const { canceled, filePath } = await (parent
    ? dialog.showSaveDialog(parent, options)
    : dialog.showSaveDialog(options));
  if (canceled || filePath === '') return { path: null, entries: 0 };
  return { path: filePath, entries: await writeJournalFile(filePath, pieces) };
}
