// SPDX-License-Identifier: Apache-2.0
/**
 * Recording what a VMM sends; the carrier plays it to another. QEMU's CPR stream comes in pieces, some with a descriptor
 * beside them. The reader on the other side takes a descriptor with the first byte of its piece. So the stream is
 * recorded at the boundaries at which it is played. Device state is a plain stream, which goes to a file in memory.
 */
import type { Descriptor, FdLike, Native, Recorded } from '@luo-console/native';
import { whenReady } from '../host/waiting.ts';

/** One piece of a CPR stream with the descriptors that came beside it. */
export interface Piece {
  readonly data: Buffer;
  readonly descriptors: readonly Descriptor[];
}

/** Most bytes of a CPR stream: names and numbers of descriptors, so anything like this is something else. */
const mostCprBytes = 4 * 1024 * 1024;

/**
 * Most pieces of it, and most descriptors beside them. QEMU sends a descriptor for each block of memory and each queue of a
 * network. The record of a machine has room for no more.
 */
export const mostPieces = 512;
export const mostDescriptors = 512;

/** `QCPR`, the first bytes of a CPR stream (QEMU, `migration/cpr.c`). */
const cprMagic = Buffer.from('QCPR', 'latin1');

/** The stream is not what it should be. */
export class StreamError extends Error {
  override readonly name = 'StreamError';
}

type Sockets = Native['sockets'];

async function receive(
  sockets: Sockets,
  socket: FdLike,
  signal: AbortSignal,
): Promise<{ data: Buffer; descriptors: readonly Descriptor[] }> {
  for (;;) {
    signal.throwIfAborted();
    const received = sockets.receive(socket);
    if (received === null) {
      await whenReady(sockets, socket, sockets.POLL_READABLE, signal);
      continue;
    }
    if (!received.truncated) return received;
    for (const each of received.descriptors) each.close();
    throw new StreamError('descriptors were lost on the way: none can be opened any more');
  }
}

/**
 * Records a CPR stream to its end. QEMU 11 shuts its writing side down after the last piece (`cpr_state_save`) and
 * goes on only when this side is closed, which is left to the caller.
 *
 * @throws StreamError if it is no CPR stream, is longer than one, or has no end mark; the signal's reason. No descriptor is left open.
 */
export async function recordPieces(sockets: Sockets, socket: FdLike, signal: AbortSignal): Promise<Piece[]> {
  const pieces: Piece[] = [];
  let bytes = 0;
  let descriptors = 0;
  try {
    for (;;) {
      const piece = await receive(sockets, socket, signal);
      if (piece.data.length === 0) break;
      pieces.push(piece);
      bytes += piece.data.length;
      descriptors += piece.descriptors.length;
      if (bytes > mostCprBytes) throw new StreamError(`a CPR stream of over ${mostCprBytes} bytes`);
      if (pieces.length > mostPieces) throw new StreamError(`a CPR stream of over ${mostPieces} pieces`);
      if (descriptors > mostDescriptors)
        throw new StreamError(`a CPR stream with over ${mostDescriptors} descriptors`);
    }
    const start = Buffer.concat(pieces.slice(0, 2).map(({ data }) => data)).subarray(0, cprMagic.length);
    if (!start.equals(cprMagic)) {
      throw new StreamError(
        `a CPR stream begins with QCPR, this one with ${JSON.stringify(start.toString('latin1'))}`,
      );
    }
    return pieces;
  } catch (error) {
    closePieces(pieces);
    throw error;
  }
}

/** Closes the descriptors of recorded pieces. */
export function closePieces(pieces: readonly Piece[]): void {
  for (const { descriptors } of pieces) for (const each of descriptors) each.close();
}

/** A file that a stream goes into. */
export interface Recording {
  readonly file: FdLike;
  /** Where in the file it begins, in bytes. */
  readonly offset: number;
  /** How many bytes may come. */
  readonly most: number;
}

/**
 * Records a stream to its end into a file, on a thread.
 *
 * @returns its length in bytes
 * @throws SystemError `EFBIG` if more comes than may; the signal's reason. The thread ends by itself then: a descriptor
 *   that came beside the bytes may keep it, and nobody waits for that.
 */
export async function recordStream(
  sockets: Sockets,
  socket: FdLike,
  { file, offset, most }: Recording,
  signal: AbortSignal,
): Promise<number> {
  const record = (): Promise<number> => sockets.record(socket, file, BigInt(offset), BigInt(most));
  return await untilAborted(sockets, socket, record, signal);
}

/**
 * The same with what a process sends that connects to a listening socket. The thread waits for it from now on.
 *
 * @returns what came, and the connection if more comes than may
 * @throws SystemError; the signal's reason: then nobody can connect to the socket any more
 */
export async function recordStreamOf(
  sockets: Sockets,
  { listening, pid }: { readonly listening: FdLike; readonly pid: number },
  { file, offset, most }: Recording,
  signal: AbortSignal,
): Promise<Recorded> {
  const record = async (): Promise<Recorded> => {
    const recorded = await sockets.recordFrom(listening, pid, file, BigInt(offset), BigInt(most));
    // Nobody takes it then.
    if (signal.aborted) recorded.rest?.close();
    return recorded;
  };
  return await untilAborted(sockets, listening, record, signal);
}

/** @param socket is shut down when the signal fires: the thread takes that for the end of the stream */
async function untilAborted<T>(
  sockets: Sockets,
  socket: FdLike,
  record: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  signal.throwIfAborted();
  const over = Promise.withResolvers<never>();
  const stop = (): void => {
    over.reject(signal.reason);
    try {
      sockets.shutdown(socket);
    } catch {
      // It is closed already, and with it the thread's wait has ended or does by its own limit.
    }
  };
  signal.addEventListener('abort', stop);
  try {
    return await Promise.race([record(), over.promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
