// SPDX-License-Identifier: Apache-2.0
/**
 * What the start needs the journal for. That comes after machines run on: its disk may be full, damaged or hang, and the
 * agent starts all the same.
 */
import { mkdirSync } from 'node:fs';
import { saidBy } from './host/said-by.ts';
import { JournalUnreadable } from './journal/index.ts';
import { type FirstFound, type HandoverTaken, type Past, retrieveAll } from './update/arrive/arrival.ts';
import { settleInterrupted } from './update/arrive/settlement.ts';
import { readInventory } from './update/record/inventory.ts';
import type { ProgressBoard } from './update/record/progress.ts';
import type { UpdateContext } from './update/record/update-context.ts';

/**
 * Opens the journal and reads it before anything is written in this boot: the newest entry tells which boot was the last.
 *
 * @returns what it says of the past; nothing if it cannot be used, which is logged
 */
export async function openJournal({
  history,
  journal,
  log,
  reader,
  stateDirectory,
}: Pick<UpdateContext, 'history' | 'journal' | 'log' | 'reader' | 'stateDirectory'>): Promise<Past> {
  try {
    mkdirSync(stateDirectory, { recursive: true, mode: 0o700 });
  } catch (error) {
    // The journal says that it cannot be used.
    log('error', 'the state directory cannot be made', { path: stateDirectory, problem: saidBy(error) });
  }
  journal.open();
  let past: Past = { inventory: { bootId: null, sessions: [], entries: 0 }, unsettled: null };
  try {
    if (journal.unwritable === null)
      past = { inventory: await readInventory(reader), unsettled: history.unsettled() };
  } catch (error) {
    // Otherwise what is not known would be taken for what never was, and written down.
    journal.distrust(error);
  }
  if (journal.unwritable !== null)
    log('error', 'the journal cannot be used; no act is accepted', { reason: journal.unwritable });
  // What was taken in before.
  journal.catchUp();
  return past;
}

/**
 * Settles an update of this boot that nobody has ended, and retrieves what the kernel before handed over.
 *
 * @returns null if nothing came, or the journal cannot be used: then it waits for the next start
 */
export async function arrive(
  context: UpdateContext,
  board: ProgressBoard,
  past: Past,
  first: FirstFound,
): Promise<HandoverTaken | null> {
  const { journal, log, phases } = context;
  if (journal.unwritable !== null) return null;
  try {
    await settleInterrupted(context, past);
    return await retrieveAll(context, board, past, first);
  } catch (error) {
    if (!(error instanceof JournalUnreadable)) throw error;
    log('error', 'the journal cannot be used; no act is accepted', { reason: error.message });
    if (phases.phase !== 'normal') phases.enter('normal');
    return null;
  }
}
