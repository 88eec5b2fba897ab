// SPDX-License-Identifier: Apache-2.0
/**
 * Keeps the copy of one host's journal up to date while its agent can be reached. First it asks again for the
 * last entry of the copy. If the host has another entry there, or none, its journal was replaced, and the
 * copy starts over as a new epoch.
 */
import type { Entry } from '@luo-console/agent/interface';
import { ChainBroken, type CopyEnd, type JournalCopy } from './journal-copy.ts';

type Fields = Record<string, unknown>;

/** The two questions that are asked of the agent. */
export interface JournalSource {
  call(method: string, parameters: Fields): Promise<Fields>;
  stream(method: string, parameters: Fields, signal?: AbortSignal): AsyncIterable<Fields>;
}

export interface SyncOptions {
  readonly source: JournalSource;
  readonly copy: JournalCopy;
  readonly nowUs: () => number;
  readonly signal: AbortSignal;
  /** Told, in one sentence, that the journal on the host is not the one that was copied. */
  readonly onReplaced: (message: string) => void;
}

async function stillThere(source: JournalSource, end: CopyEnd): Promise<string | null> {
  const parameters = { after: end.sequence - 1, before: end.sequence + 1, limit: 1, ascending: true };
  const [entry] = (await source.call('QueryJournal', parameters))['entries'] as Entry[];
  if (!entry) return `it ends before entry ${end.sequence}`;
  return entry.hash === end.hash ? null : `its entry ${end.sequence} is another one`;
}

function replaced({ copy, nowUs, onReplaced }: SyncOptions, problem: string): void {
  const reason = `The journal on the host is not the one copied before: ${problem}. What was copied is kept.`;
  copy.begin(reason, nowUs());
  onReplaced(reason);
}

/**
 * Copies the new entries and then follows, until `signal` aborts or the stream ends.
 *
 * @throws whatever the source throws; ChainBroken if even a journal read from its beginning does not fit together
 */
export async function syncJournal(options: SyncOptions): Promise<void> {
  const { source, copy, nowUs, signal } = options;
  const known = copy.end();
  const problem = known && (await stillThere(source, known));
  if (problem) replaced(options, problem);
  else if (known) copy.markCurrent(nowUs());
  for (;;) {
    const after = copy.end()?.sequence ?? 0;
    try {
      for await (const reply of source.stream('FollowJournal', { after }, signal)) {
        if (signal.aborted) return;
        copy.append(reply['entries'] as Entry[], nowUs());
      }
      return;
    } catch (error) {
      // From its beginning nothing can be out of place but the journal itself.
      if (!(error instanceof ChainBroken) || after === 0) throw error;
      replaced(options, error.message);
    }
  }
}
