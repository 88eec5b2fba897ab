// SPDX-License-Identifier: Apache-2.0
/** QEMU's words for what a guest does (`RunState`, qapi/run-state.json), as far as the agent decides by them. */

/** The guest runs, or is suspended to memory by itself: it goes on from there as soon as something wakes it. */
const live: ReadonlySet<string> = new Set(['running', 'suspended']);
/** What comes of stopping and saving a guest. */
const saving: ReadonlySet<string> = new Set(['finish-migrate', 'postmigrate']);
/** QEMU refuses to save such a guest: `migrate_prepare`, migration/migration.c. Or it is saved or loaded by others. */
const unsavable: ReadonlySet<string> = new Set([
  ...['inmigrate', 'postmigrate', 'finish-migrate', 'restore-vm', 'save-vm', 'colo'],
]);

export const isLive = (status: string): boolean => live.has(status);
/** Whether QEMU has saved the guest, and nobody has let it run since. */
export const isAsSaved = (status: string): boolean => saving.has(status);
export const canBeSaved = (status: string): boolean => !unsavable.has(status);

/**
 * Whether a guest that ran can have come to this by the agent, which stopped it and perhaps saved it.
 *
 * @param saved whether QEMU has begun to save it for the agent: otherwise somebody else has migrated it away
 */
export const isByAgent = (status: string, saved: boolean): boolean =>
  status === 'paused' || (saved && isAsSaved(status));
