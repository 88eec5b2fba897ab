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

interface Part {
  readonly file: Descriptor;
  readonly slots: SlotFile;
  readonly entries: Map<string, ManifestEntry>;
}

/** Preserves (and stores) a new part's memfd under its token. */
export type KeepPart = (token: bigint, file: Descriptor) => Promise<void>;

export class Manifest {
  readonly #memory: Memory;
  readonly #parts: Part[] = [];
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
      manifest.#parts.push({ file, slots, entries });
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
  nextOrder(): number {
    return Math.max(-1, ...this.entries().map(({ order }) => order)) + 1;
  }

  /** Adds an entry, in a new part if no part has room. */
  async add(entry: ManifestEntry, keep: KeepPart): Promise<void> {
    // The newest part is the one with room, unless entries were removed from others.
    for (const part of this.#parts.toReversed()) {
      part.entries.set(entry.token, entry);
      if (this.#fits(part)) {
        this.#write(part);
        return;
      }
      part.entries.delete(entry.token);
    }
    const part = await this.#addPart(keep);
    part.entries.set(entry.token, entry);
    this.#write(part);
  }

  /** Changes some fields of an entry. Does nothing if there is none under that token. */
  update(token: bigint, change: Partial<ManifestEntry>): void {
    const part = this.#partOf(token);
    const entry = part?.entries.get(formatToken(token));
    if (!part || !entry) return;
    part.entries.set(entry.token, { ...entry, ...change });
    this.#write(part);
  }

  /** Changes every entry, with one write for each part. */
  updateAll(change: (entry: ManifestEntry) => Partial<ManifestEntry>): void {
    for (const part of this.#parts) {
      for (const [token, entry] of part.entries) part.entries.set(token, { ...entry, ...change(entry) });
      this.#write(part);
    }
  }

  remove(token: bigint): void {
    const part = this.#partOf(token);
    if (part?.entries.delete(formatToken(token))) this.#write(part);
  }

  updateHead(change: Partial<ManifestHead>): void {
    this.head = { ...this.head, ...change };
    const [first] = this.#parts;
    if (first) this.#write(first);
  }

  close(): void {
    for (const { file } of this.#parts) file.close();
  }

  #partOf(token: bigint): Part | undefined {
    const key = formatToken(token);
    return this.#parts.find(({ entries }) => entries.has(key));
  }

  async #addPart(keep: KeepPart): Promise<Part> {
    const index = this.#parts.length;
    const file = this.#memory.memfdCreate('luo-manifest');
    try {
      this.#memory.truncate(file, BigInt(manifestPartBytes));
      const part: Part = { file, slots: new SlotFile(this.#memory, file), entries: new Map() };
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

  /** Leaves room for every entry to gain its digest later: an update must never fail for want of space. */
  #fits(part: Part): boolean {
    const undigested = [...part.entries.values()].filter(({ digest }) => digest === null).length;
    const growth = undigested * 96 + 256;
    return this.#encode(part, this.#parts.indexOf(part)).length + growth <= part.slots.capacity;
  }

  #write(part: Part): void {
    part.slots.write(this.#encode(part, this.#parts.indexOf(part)));
  }
}
