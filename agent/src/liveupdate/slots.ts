// SPDX-License-Identifier: Apache-2.0
/**
 * A small file in memory that survives a torn write. A memfd's size cannot change while it is preserved, but its
 * contents can. So it is allocated whole and split into two slots, written in turn. Each slot has a header with a
 * sequence number, the length of the content and a SHA-256 over both and the content. Whatever stops a write half-way,
 * the other slot still holds the content before it.
 *
 *     0   8 bytes  "LUOSLOT1"
 *     8   u64      sequence, little-endian; the higher valid one counts
 *     16  u32      length of the content
 *     20  4 bytes  zero
 *     24  32 bytes SHA-256 of bytes 8 to 23 and the content
 *     64  the content
 */
import { createHash } from 'node:crypto';
import type { FdLike, Memory } from '@luo-console/native';

const magic = Buffer.from('LUOSLOT1', 'latin1');
const headerBytes = 64;
const digestAt = 24;

interface Slot {
  readonly sequence: bigint;
  readonly content: Buffer;
}

export class SlotFile {
  readonly #memory: Memory;
  readonly #file: FdLike;
  readonly #slotBytes: number;
  #newest: { slot: 0 | 1; sequence: bigint } | null = null;

  /** @param file a memfd of its final size; both slots are checked now. */
  constructor(memory: Memory, file: FdLike) {
    this.#memory = memory;
    this.#file = file;
    this.#slotBytes = Math.floor(Number(memory.fileFacts(file).size) / 2);
    this.read();
  }

  /** Bytes of content that fit. */
  get capacity(): number {
    return Math.max(0, this.#slotBytes - headerBytes);
  }

  /** The newest content that is whole, or null if neither slot is. */
  read(): Buffer | null {
    const slots = ([0, 1] as const).map((slot) => this.#readSlot(slot));
    const [first, second] = slots;
    const slot = (second?.sequence ?? -1n) > (first?.sequence ?? -1n) ? 1 : 0;
    const newest = slots[slot] ?? null;
    this.#newest = newest === null ? null : { slot, sequence: newest.sequence };
    return newest?.content ?? null;
  }

  /** Replaces the content. @throws RangeError if it does not fit; the file is then unchanged. */
  write(content: Uint8Array): void {
    if (content.length > this.capacity) {
      throw new RangeError(`content of ${content.length} bytes: at most ${this.capacity} fit in a slot`);
    }
    const sequence = (this.#newest?.sequence ?? 0n) + 1n;
    const slot = this.#newest?.slot === 0 ? 1 : 0;
    const header = Buffer.alloc(headerBytes);
    magic.copy(header);
    header.writeBigUInt64LE(sequence, 8);
    header.writeUInt32LE(content.length, 16);
    createHash('sha256').update(header.subarray(8, digestAt)).update(content).digest().copy(header, digestAt);
    const base = slot * this.#slotBytes;
    this.#memory.write(this.#file, BigInt(base + headerBytes), content);
    this.#memory.write(this.#file, BigInt(base), header);
    this.#newest = { slot, sequence };
  }

  #readSlot(slot: 0 | 1): Slot | null {
    const base = BigInt(slot * this.#slotBytes);
    if (this.capacity === 0) return null;
    const header = this.#memory.read(this.#file, base, headerBytes);
    if (header.length < headerBytes || !header.subarray(0, 8).equals(magic)) return null;
    const length = header.readUInt32LE(16);
    if (length > this.capacity) return null;
    const content = this.#memory.read(this.#file, base + BigInt(headerBytes), length);
    const digest = createHash('sha256').update(header.subarray(8, digestAt)).update(content).digest();
    if (content.length !== length || !digest.equals(header.subarray(digestAt, digestAt + 32))) return null;
    return { sequence: header.readBigUInt64LE(8), content };
  }
}
