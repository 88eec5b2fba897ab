// SPDX-License-Identifier: Apache-2.0
/**
 * What a manifest says, and how it is read. A manifest comes out of memory that another kernel kept. Any holder of the
 * session may have written to it. So it is validated like any other input: a part that does not fit is reported, not
 * guessed at.
 *
 * A manifest has as many parts as it needs. Each part is a separate memfd with the entries assigned to it, so that
 * rewriting one entry is one atomic write. The first part also holds the facts about the session as a whole.
 */
import * as v from 'valibot';
import { MachineHead } from './machine-head.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const token = v.pipe(v.string(), v.regex(/^0x[0-9a-f]{1,16}$/));
const digest = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));

const ManifestEntry = v.object({
  token,
  /** Position in the order of preserving. */
  order: count,
  /** `intended` is written before the kernel is asked, `preserved` once it has agreed. */
  state: v.picklist(['intended', 'preserved']),
  kind: v.picklist(['memfd', 'tmpfs_unlinked', 'tmpfs_linked', 'hugetlb', 'other']),
  label: v.pipe(v.string(), v.maxLength(256)),
  source: v.pipe(v.string(), v.maxLength(512)),
  size: count,
  inode: count,
  preservedAtUs: count,
  digest: v.nullable(digest),
  digestAtUs: v.nullable(count),
  verdict: v.picklist(['unchecked', 'match', 'differs', 'missing']),
});
/** What is known of one preserved descriptor. Sizes in bytes, times in µs since the epoch. */
export type ManifestEntry = v.InferOutput<typeof ManifestEntry>;

const ManifestHead = v.object({
  name: v.pipe(v.string(), v.maxLength(63)),
  createdAtUs: count,
  createdBy: v.pipe(v.string(), v.maxLength(256)),
  /** Live updates it came through. */
  carried: count,
  /**
   * `closing` once somebody asked for the end of the session, `rebuilding` while it is taken apart and built again: an
   * agent that finds either completes it.
   */
  state: v.picklist(['open', 'closing', 'rebuilding']),
  /**
   * Whether the session's descriptor was given to somebody, who may have preserved under tokens that no manifest
   * names. The agent must then not end the session by itself: the kernel cannot be asked what would go with it.
   */
  handedOut: v.optional(v.boolean(), false),
  /** The machine whose session this is; null for one that people made. */
  machine: v.optional(v.nullable(MachineHead), null),
});
/** What is true of the session as a whole. */
export type ManifestHead = v.InferOutput<typeof ManifestHead>;

const ManifestPart = v.object({
  format: v.literal('luo-manifest-1'),
  part: count,
  head: v.nullable(ManifestHead),
  entries: v.pipe(v.array(ManifestEntry), v.maxLength(4096)),
});
export type ManifestPart = v.InferOutput<typeof ManifestPart>;

/** Reads one part. @throws Error that says what does not fit. */
export function decodePart(content: Buffer, part: number): ManifestPart {
  const parsed = v.parse(ManifestPart, JSON.parse(content.toString('utf8')));
  if (parsed.part !== part) throw new Error(`manifest part ${part} says it is part ${parsed.part}`);
  if ((parsed.head === null) !== (part !== 0)) throw new Error(`manifest part ${part}: head misplaced`);
  return parsed;
}

/** One part as bytes. */
export function encodePart(part: ManifestPart): Buffer {
  return Buffer.from(JSON.stringify(part), 'utf8');
}
