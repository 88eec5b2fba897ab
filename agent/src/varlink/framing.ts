// SPDX-License-Identifier: Apache-2.0
/**
 * Cuts a byte stream into messages, each ended by a NUL, and gives every message its descriptors.
 *
 * Descriptors are not part of the stream. The kernel hands them over with bytes that were sent together with them.
 * Bytes sent earlier may come before those, but bytes sent later never come with them. `recvmsg` stops after the piece
 * that carried descriptors (`unix_stream_read_generic` in net/unix/af_unix.c). And a sender puts nothing behind a
 * message with descriptors into the same `sendmsg`. It may put earlier messages before it (systemd does). Therefore
 * descriptors belong to the message that holds the last byte they came with.
 */
import type { Descriptor } from '@luo-console/native';
import { ProtocolError } from './errors.ts';

/** Descriptors that one message may carry: the kernel's SCM_MAX_FD. */
export const maxDescriptors = 253;

export interface Frame {
  /** The message without its NUL. */
  readonly text: Buffer;
  /** Owned by the receiver of the frame. */
  readonly descriptors: Descriptor[];
}

/** Closes descriptors that nobody will use. */
export function closeAll(descriptors: Iterable<Descriptor>): void {
  for (const descriptor of descriptors) descriptor.close();
}

export class Framer {
  private readonly limit: number;
  private pieces: Buffer[] = [];
  private length = 0;
  private descriptors: Descriptor[] = [];

  /** @param limit longest message in bytes */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** Whether the beginning of a message is waiting for the rest. */
  get inMessage(): boolean {
    return this.length > 0 || this.descriptors.length > 0;
  }

  /**
   * @param data what was received in one go
   * @param descriptors what came with it; ownership passes to the frames
   * @returns the messages that `data` completes
   * @throws ProtocolError for a message over the limit or with too many descriptors; everything held is closed
   */
  push(data: Buffer, descriptors: readonly Descriptor[]): Frame[] {
    const frames: Frame[] = [];
    try {
      let start = 0;
      for (;;) {
        const end = data.indexOf(0, start);
        if (end < 0) break;
        frames.push(this.complete(data.subarray(start, end)));
        start = end + 1;
      }
      this.keep(data.subarray(start));
      const last = frames.at(-1);
      const owner = start === data.length && last !== undefined ? last.descriptors : this.descriptors;
      if (owner.length + descriptors.length > maxDescriptors) {
        throw new ProtocolError(`a message with over ${maxDescriptors} descriptors`);
      }
      owner.push(...descriptors);
    } catch (error) {
      closeAll(descriptors);
      for (const frame of frames) closeAll(frame.descriptors);
      this.dispose();
      throw error;
    }
    return frames;
  }

  /** Forgets the message that is incomplete and closes its descriptors. */
  dispose(): void {
    closeAll(this.descriptors);
    this.pieces = [];
    this.length = 0;
    this.descriptors = [];
  }

  private keep(piece: Buffer): void {
    if (this.length + piece.length > this.limit) {
      throw new ProtocolError(`a message over ${this.limit} bytes`);
    }
    if (piece.length > 0) this.pieces.push(piece);
    this.length += piece.length;
  }

  private complete(piece: Buffer): Frame {
    this.keep(piece);
    const frame = { text: Buffer.concat(this.pieces, this.length), descriptors: this.descriptors };
    this.pieces = [];
    this.length = 0;
    this.descriptors = [];
    return frame;
  }
}
