// SPDX-License-Identifier: Apache-2.0
/** Entries of sessions: how one is made, which token is free, where a file is, what the journal says of them. */
import { readlinkSync } from 'node:fs';
import type { Memory } from '@luo-console/native';
import { describeContents } from './build-session.ts';
import type { HeldSession } from './held-session.ts';
import type { ManifestEntry } from './manifest-format.ts';
import type { FileDescription } from './preservable.ts';
import type { Retrieved } from './retrieve-session.ts';
import { formatToken } from './tokens.ts';

/** What to record of a file that is preserved. */
export interface PreserveRequest {
  /** Null takes the next free one. */
  readonly token: bigint | null;
  readonly label: string;
  readonly source: string;
}

/** Where a file is preserved. */
export interface Place {
  readonly session: string;
  readonly token: string;
}

/** The entry to write before a file is preserved. */
export function newEntry(
  token: bigint,
  order: number,
  { label, source }: PreserveRequest,
  { kind, size, inode }: FileDescription,
  nowUs: number,
): ManifestEntry {
  return {
    token: formatToken(token),
    order,
    state: 'intended',
    kind,
    label,
    source,
    // What is preserved says its size.
    size: size ?? 0,
    inode,
    preservedAtUs: nowUs,
    digest: null,
    digestAtUs: null,
    verdict: 'unchecked',
  };
}

/**
 * The number of entries if that is free, or the next higher one that is.
 *
 * @param more entries that will come before it
 * @param isTaken whether a token is used
 */
export function nextFreeToken(
  session: HeldSession,
  more: number,
  isTaken: (token: bigint) => boolean,
): bigint {
  let token = BigInt((session.manifest?.size ?? 0) + more);
  while (isTaken(token)) token += 1n;
  return token;
}

/** A file system and a number in it. */
export interface FileIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
}

/** What makes a file the same file, as a key. */
export function placeKey({ dev, ino }: FileIdentity): string {
  return `${dev}:${ino}`;
}

/**
 * Whether a file's inode tells it from others, from what its link in procfs says: files that the kernel makes
 * without a file system share one (`anon_inode_getfile`, fs/anon_inodes.c).
 */
export const hasOwnInode = (name: string): boolean => !name.startsWith('anon_inode:');

/** Every preserved file that has an inode of its own, by `placeKey`. */
function placesOf(sessions: Iterable<HeldSession>, memory: Memory): Map<string, Place> {
  const places = new Map<string, Place>();
  for (const { name, files, manifest } of sessions) {
    for (const [token, file] of files) {
      const other = manifest?.get(token)?.kind === 'other';
      if (other && !hasOwnInode(readlinkSync(`/proc/self/fd/${file.fd}`))) continue;
      places.set(placeKey(memory.fileFacts(file)), { session: name, token: formatToken(token) });
    }
  }
  return places;
}

/** The place of each preserved file, found by the file. */
export class PreservedIndex {
  readonly #sessions: () => Iterable<HeldSession>;
  readonly #memory: Memory;
  /** Built when asked for. */
  #known: Map<string, Place> | null = null;

  constructor(sessions: () => Iterable<HeldSession>, memory: Memory) {
    this.#sessions = sessions;
    this.#memory = memory;
  }

  /** Where a file is, or null. */
  of(facts: FileIdentity): Place | null {
    this.#known ??= placesOf(this.#sessions(), this.#memory);
    return this.#known.get(placeKey(facts)) ?? null;
  }

  /** Notes one file more. */
  enter(facts: FileIdentity, place: Place): void {
    this.#known?.set(placeKey(facts), place);
  }

  /** To be called when anything but a preserve has changed the sessions. */
  forget(): void {
    this.#known = null;
  }
}

/** What the journal keeps of a retrieve. */
export function describeRetrieved({ session, missing, problem }: Retrieved): {
  parameters: Record<string, unknown>;
} {
  return { parameters: { ...describeContents(session), missing, problem } };
}
