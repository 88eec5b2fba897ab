// SPDX-License-Identifier: Apache-2.0
/**
 * A journal entry, and the chain. Each entry's hash is the SHA-256 of the entry as canonical JSON (RFC 8785), without
 * its own hash. That JSON holds the hash of the entry before. Changing any entry, or taking one out, breaks every hash
 * after it.
 */
import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';

export type EntryKind = 'act' | 'result' | 'note';

/** The hash the first entry builds on. */
export const chainStart = '0'.repeat(64);

/** Who asked, as it was recorded. The journal keeps it and does not interpret it. */
export type RecordedPeer = Readonly<Record<string, string | number>>;

/** One entry. Times in µs since the epoch, durations in µs. */
export interface JournalEntry {
  readonly sequence: number;
  readonly atUs: number;
  readonly kind: EntryKind;
  readonly name: string;
  /** For a result: the sequence of the act it answers. */
  readonly answers: number | null;
  readonly bootId: string;
  readonly phase: string;
  readonly update: string | null;
  readonly session: string | null;
  readonly peer: RecordedPeer | null;
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly ok: boolean | null;
  readonly errno: string | null;
  readonly message: string;
  readonly durationUs: number | null;
  readonly previousHash: string;
  readonly hash: string;
}

/** The row as SQLite keeps it. */
export interface EntryRow {
  sequence: number;
  at_us: number;
  kind: EntryKind;
  name: string;
  answers: number | null;
  boot_id: string;
  phase: string;
  update_id: string | null;
  session: string | null;
  peer: string | null;
  parameters: string;
  ok: number | null;
  errno: string | null;
  message: string;
  duration_us: number | null;
  previous_hash: string;
  hash: string;
}

/** The hash an entry should carry: lower-case hexadecimal SHA-256. */
export function entryHash(entry: Omit<JournalEntry, 'hash'>): string {
  const { ...rest } = entry;
  delete (rest as { hash?: string }).hash;
  const json = canonicalize(rest);
  if (json === undefined) throw new TypeError(`entry ${entry.sequence}: not representable as JSON`);
  return createHash('sha256').update(json).digest('hex');
}

/** An entry from its row. @throws SyntaxError if the row's JSON columns were damaged. */
export function entryFromRow(row: EntryRow): JournalEntry {
  return {
    sequence: row.sequence,
    atUs: row.at_us,
    kind: row.kind,
    name: row.name,
    answers: row.answers,
    bootId: row.boot_id,
    phase: row.phase,
    update: row.update_id,
    session: row.session,
    peer: row.peer === null ? null : (JSON.parse(row.peer) as RecordedPeer),
    parameters: JSON.parse(row.parameters) as Record<string, unknown>,
    ok: row.ok === null ? null : row.ok === 1,
    errno: row.errno,
    message: row.message,
    durationUs: row.duration_us,
    previousHash: row.previous_hash,
    hash: row.hash,
  };
}

/** The row that an entry becomes. */
export function rowOf(entry: JournalEntry): EntryRow {
  return {
    sequence: entry.sequence,
    at_us: entry.atUs,
    kind: entry.kind,
    name: entry.name,
    answers: entry.answers,
    boot_id: entry.bootId,
    phase: entry.phase,
    update_id: entry.update,
    session: entry.session,
    peer: entry.peer === null ? null : JSON.stringify(entry.peer),
    parameters: JSON.stringify(entry.parameters),
    ok: entry.ok === null ? null : entry.ok ? 1 : 0,
    errno: entry.errno,
    message: entry.message,
    duration_us: entry.durationUs,
    previous_hash: entry.previousHash,
    hash: entry.hash,
  };
}
