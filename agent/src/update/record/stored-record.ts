// SPDX-License-Identifier: Apache-2.0
/** Records of updates as they lie in the journal and in index sessions. */
import * as v from 'valibot';
import { Update } from '../../interface/agent.generated.ts';

/** What records did not have from the start. */
const absentInOlder = { machines: [], refusedBy: null, announcedAtUs: null, graceEndsAtUs: null };

/**
 * Reads a record that an agent wrote, perhaps an older one, which knew nothing of machines or of when
 * the kexec was announced.
 *
 * @returns null if it is none
 */
export function readRecord(stored: unknown): Update | null {
  const older = v.safeParse(v.looseObject({}), stored);
  if (!older.success) return null;
  const parsed = v.safeParse(Update, { ...absentInOlder, ...older.output });
  return parsed.success ? parsed.output : null;
}
