// SPDX-License-Identifier: Apache-2.0
/**
 * A session's manifest: which descriptor is under which token. It is kept in memfds (see `slots.ts`) that are
 * preserved in the session itself under the reserved tokens, in the order of their numbers.
 *
 * This class keeps the parts and their contents in step. It never calls the live update device: preserving a
 * new part is the session's business, which passes in how.
 */
import type { Descriptor, Memory } from '@luo-console/native';
import { decodePart, encodePart, type ManifestEntry, type ManifestHead } from './manifest-format.ts';
import { SlotFile } from './slots.ts';
import { formatToken, manifestToken } from './tokens.ts';

/** Size of one part in bytes: two slots of half of it. */
export const manifestPartBytes = 64 * 1024;

/** What a head can grow by: an update notes there how its machine was before. */
const headGrowthBytes = 1536;

interface Part {
  readonly file: Descriptor;
  readonly slots: SlotFile;
  readonly entries: Map<string, ManifestEntry>;
  /** Bytes of its entries as they are written, and what they can still grow by. */
  bytes: number;
}

/** Preserves (and stores) a new part's memfd under its token. */
export type KeepPart = (token: bigint, file: Descriptor) => Promise<void>;

export class Manifest {
  readonly #memory: Memory;
  readonly #parts: Part[] = [];
  /** In which part each entry is, by its token. */
  readonly #homes = new Map<string, Part>();
  #nextOrder = 0;
  head: ManifestHead;

  private constructor(memory: Memory, head: ManifestHead) {
    this.#memory = memory;
    this.head = head;
  }

  /** A new manifest; its first part is written, then kept by `keep`. */
  static async create(memory: Memory, head: ManifestHead, keep: KeepPart): Promise<Manifest> {
    const manifest = new Manifest(memory, head);
    await manifest.#addPart(keep);
    return manifest;
  }

  /**
   * A manifest from its parts, first to last. Takes ownership of the descriptors.
   *
   * @throws Error if the first part is unreadable; a later part that is torn in both slots is one too.
   */
  static read(memory: Memory, files: readonly Descriptor[]): Manifest {
    const parts = files.map((file, index) => {
      const slots = new SlotFile(memory, file);
      const content = slots.read();
      if (content === null) throw new Error(`manifest part ${index}: neither of its slots is whole`);
      return { file, slots, decoded: decodePart(content, index) };
    });
    const head = parts[0]?.decoded.head;
    if (head === null || head === undefined) throw new Error('the manifest has no first part');
    const manifest = new Manifest(memory, head);
    for (const { file, slots, decoded } of parts) {
      const entries = new Map(decoded.entries.map((entry) => [entry.token, entry]));
      const bytes = decoded.entries.reduce((sum, entry) => sum + roomOf(entry), 0);
      const part: Part = { file, slots, entries, bytes };
      manifest.#parts.push(part);
      for (const token of entries.keys()) if (!manifest.#homes.has(token)) manifest.#homes.set(token, part);
      for (const { order } of decoded.entries) manifest.#nextOrder = Math.max(manifest.#nextOrder, order + 1);
    }
    return manifest;
  }

  /** The memfds with their tokens, in order. They stay the manifest's. */
  get parts(): readonly { readonly token: bigint; readonly file: Descriptor }[] {
    return this.#parts.map(({ file }, index) => ({ token: manifestToken + BigInt(index), file }));
  }

  /** All entries in the order they were preserved. */
  entries(): ManifestEntry[] {
    return this.#parts
      .flatMap(({ entries }) => [...entries.values()])
      .sort((left, right) => left.order - right.order);
  }

  /** How many descriptors are preserved, and their bytes. */
  totals(): { descriptors: number; size: number } {
    let descriptors = 0;
    let size = 0;
    for (const { entries } of this.#parts) {
      for (const entry of entries.values()) {
        if (entry.state !== 'preserved') continue;
        descriptors += 1;
        size += entry.size;
      }
    }
    return { descriptors, size };
  }

  get(token: bigint): ManifestEntry | undefined {
    return this.#partOf(token)?.entries.get(formatToken(token));
  }

  /** The position after the last entry. */
  get nextOrder(): number {
    return this.#nextOrder;
  }

  /** How many entries there are. */
  get size(): number {
    return this.#parts.reduce((sum, { entries }) => sum + entries.size, 0);
  }

  /** Adds entries, in new parts if no part has room. Each part is written once. */
  async add(entries: readonly ManifestEntry[], keep: KeepPart): Promise<void> {
    const changed = new Set<Part>();
    const frames = new Map<Part, number>();
    for (const entry of entries) {
      const bytes = roomOf(entry);
      // The newest part is the one with room, unless entries were removed from others.
      const part =
        this.#parts.findLast((each) => this.#hasRoom(each, bytes, frames)) ?? (await this.#addPart(keep));
      part.entries.set(entry.token, entry);
      this.#homes.set(entry.token, part);
      part.bytes += bytes;
      this.#nextOrder = Math.max(this.#nextOrder, entry.order + 1);
      changed.add(part);
    }
    for (const part of changed) this.#write(part);
  }

  /** Changes some fields of entries. Does nothing about tokens under which there is none. */
  update(tokens: readonly bigint[], change: Partial<ManifestEntry>): void {
    this.#change(tokens, (part, entry) => void part.entries.set(entry.token, { ...entry, ...change }));
  }

  /** Changes every entry, with one write for each part. */
  updateAll(change: (entry: ManifestEntry) => Partial<ManifestEntry>): void {
    for (const part of this.#parts) {
      for (const [token, entry] of part.entries) part.entries.set(token, { ...entry, ...change(entry) });
      this.#write(part);
    }
  }

  remove(tokens: readonly bigint[]): void {
    this.#change(tokens, (part, entry) => {
      part.entries.delete(entry.token);
      this.#homes.delete(entry.token);
      part.bytes -= roomOf(entry);
    });
  }

  /** @throws RangeError if it has no room; it is as before then */
  updateHead(change: Partial<ManifestHead>): void {
    const before = this.head;
    this.head = { ...before, ...change };
    const [first] = this.#parts;
    try {
      if (first) this.#write(first);
    } catch (error) {
      this.head = before;
      throw error;
    }
  }

  close(): void {
    for (const { file } of this.#parts) file.close();
  }

  /** Changes what is there of some entries, with one write for each part. */
  #change(tokens: readonly bigint[], change: (part: Part, entry: ManifestEntry) => void): void {
    const changed = new Set<Part>();
    for (const token of tokens) {
      const part = this.#partOf(token);
      const entry = part?.entries.get(formatToken(token));
      if (!part || !entry) continue;
      change(part, entry);
      changed.add(part);
    }
    for (const part of changed) this.#write(part);
  }

  #partOf(token: bigint): Part | undefined {
    return this.#homes.get(formatToken(token));
  }

  async #addPart(keep: KeepPart): Promise<Part> {
    const index = this.#parts.length;
    const file = this.#memory.memfdCreate('luo-manifest');
    try {
      this.#memory.truncate(file, BigInt(manifestPartBytes));
      const part: Part = { file, slots: new SlotFile(this.#memory, file), entries: new Map(), bytes: 0 };
      part.slots.write(this.#encode(part, index));
      await keep(manifestToken + BigInt(index), file);
      this.#parts.push(part);
      return part;
    } catch (error) {
      file.close();
      throw error;
    }
  }

  #encode(part: Part, index: number): Buffer {
    const head = index === 0 ? this.head : null;
    return encodePart({ format: 'luo-manifest-1', part: index, head, entries: [...part.entries.values()] });
  }

  /** Leaves room for the head to grow. @param frames what is around the entries of a part, in bytes, as far as that is known */
  #hasRoom(part: Part, bytes: number, frames: Map<Part, number>): boolean {
    let frame = frames.get(part);
    if (frame === undefined) {
      frame =
        this.#encode({ ...part, entries: new Map() }, this.#parts.indexOf(part)).length + headGrowthBytes;
      frames.set(part, frame);
    }
    return frame + part.bytes + bytes <= part.slots.capacity;
  }

  #write(part: Part): void {
    part.slots.write(this.#encode(part, this.#parts.indexOf(part)));
  }
}

const mostDigits = Number.MAX_SAFE_INTEGER;

/** The longest an entry can get: it gains its digest later, and an update must never fail for want of space. */
function roomOf(entry: ManifestEntry): number {
  const longest = {
    ...entry,
    ...{ state: 'preserved', verdict: 'unchecked', digest: 'f'.repeat(64), digestAtUs: mostDigits },
    // Another kernel gives the file another number.
    ...{ size: mostDigits, inode: mostDigits, preservedAtUs: mostDigits },
  };
  return Buffer.byteLength(JSON.stringify(longest)) + 1;
}
