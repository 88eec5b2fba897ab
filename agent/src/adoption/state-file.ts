// SPDX-License-Identifier: Apache-2.0
/**
 * The file that a machine's state is recorded in: the CPR stream, and behind it the device state. Behind that are the bytes
 * in which the next kernel marks how far the machine is (`restart-mark.ts`). The file has its pages before the guest stops.
 *
 * It is preserved before the guest stops as well, which takes the kernel milliseconds. Its contents may still be written
 * then, but its size is fixed (`memfd_luo_preserve`, mm/memfd_luo.c). So there is room in it. What does not fit goes on in
 * another file, which is preserved once it is recorded.
 *
 * The file for a machine whose memory is in its state is preserved only once it is recorded. It has room for all of the
 * memory. Pages that are not needed would go through the kexec, and the next kernel would lack them.
 */
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Descriptor, Native, Recorded } from '@luo-console/native';
import type { Unended } from '../host/unended.ts';
import type { Place } from '../liveupdate/session-entries.ts';
import { recordStream, recordStreamOf, StreamError } from '../qemu/streams.ts';
import { bytesBehindState } from './restart-mark.ts';
import { makePages } from './state-pages.ts';

export interface StateFileOptions {
  readonly native: Native;
  readonly unended: Unended;
  /** Bytes the state will about have. */
  readonly expectedBytes: number;
  /** Preserves it before anything is recorded in it; null if the caller does so afterwards. */
  readonly preserve: ((file: Descriptor) => Promise<Place>) | null;
  /** A directory in which a socket may be made, for the warm-up. */
  readonly directory: string;
  /** Ends the making. */
  readonly signal: AbortSignal;
}

/** How many bytes of state may come. Beyond that a VMM sends something else, and the host would run out of memory. */
const mostOf = (expectedBytes: number): number => 2 * expectedBytes + 2 ** 30;

/** How much a warm-up records, in bytes, and for how long at most, in ms. */
const warmUpBytes = 64 * 1024;
const warmUpMs = 10_000;

/** How much is freed at once, in bytes: 20 ms for a busy processor. */
const freedBytes = 64 * 1024 * 1024;

/** How much is copied at once where a state goes on in another file, in bytes. */
const pieceBytes = 1024 * 1024;

type RecordedState = Pick<Recorded, 'bytes' | 'endedAgoUs'>;

export class StateFile {
  readonly #native: Native;
  /** How long the state may become in a file whose size is fixed, in bytes. */
  readonly #room: number;
  readonly #most: number;
  #file: Descriptor;
  #place: Place | null = null;
  #bytes = 0;

  private constructor({ native, expectedBytes }: StateFileOptions, file: Descriptor) {
    this.#native = native;
    this.#room = expectedBytes;
    this.#most = mostOf(expectedBytes);
    this.#file = file;
  }

  /** @throws SystemError `ENOSPC`, `ENOMEM` if the host has no room; the signal's reason; what `preserve` throws */
  static async make(options: StateFileOptions): Promise<StateFile> {
    const { native, unended, directory, expectedBytes, preserve, signal } = options;
    const state = new StateFile(options, newFile(native));
    try {
      const { memory } = native;
      await makePages({ memory, unended }, state.#file, expectedBytes + bytesBehindState, signal);
      await warmUp(native, state.#file, directory, signal);
      if (preserve !== null) state.#place = await preserve(state.#file);
      return state;
    } catch (error) {
      state.close();
      throw error;
    }
  }

  get file(): Descriptor {
    return this.#file;
  }

  /** Where it is preserved; null if it is not. */
  get place(): Place | null {
    return this.#place;
  }

  /** How much of the state there is, in bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Puts something behind what there is. @throws SystemError if the host has no room */
  write(data: Uint8Array): void {
    if (this.#place !== null && this.#bytes + data.length > this.#room) this.#goOnElsewhere();
    this.#native.memory.write(this.#file, BigInt(this.#bytes), data);
    this.#bytes += data.length;
  }

  /**
   * Records what a process sends that connects to a listening socket, to the end of the stream, behind what there is.
   *
   * @returns how many bytes came, and how long ago the last of them was recorded, in µs
   * @throws StreamError, SystemError `EFBIG` if more comes than a state can be; the signal's reason
   */
  async record(from: { listening: Descriptor; pid: number }, signal: AbortSignal): Promise<RecordedState> {
    const { sockets } = this.#native;
    const before = this.#bytes;
    const fits = this.#place === null ? this.#most : this.#room - before;
    const into = { file: this.#file, offset: before, most: fits };
    const { bytes, endedAgoUs, rest } = await recordStreamOf(sockets, from, into, signal);
    this.#bytes += bytes;
    if (rest === null) return { bytes, endedAgoUs };
    using connection = rest;
    if (this.#place === null) throw new StreamError(`a state of over ${this.#most} bytes`);
    this.#goOnElsewhere();
    const onward = { file: this.#file, offset: this.#bytes, most: this.#most - fits };
    this.#bytes += await recordStream(sockets, connection, onward, signal);
    return { bytes: this.#bytes - before, endedAgoUs: 0 };
  }

  /**
   * Gives back what a file that is not preserved yet has too much of: it would be preserved for nothing. The kernel frees
   * page by page, so somebody else has a turn after each piece.
   *
   * @throws the signal's reason
   */
  async trim(signal: AbortSignal): Promise<void> {
    if (this.#place !== null) return;
    const { memory } = this.#native;
    const wanted = this.#bytes + bytesBehindState;
    let size = Number(memory.fileFacts(this.#file).size);
    while (size > wanted) {
      size = Math.max(wanted, size - freedBytes);
      memory.truncate(this.#file, BigInt(size));
      await setImmediate();
      signal.throwIfAborted();
    }
    if (size < wanted) memory.truncate(this.#file, BigInt(wanted));
  }

  /** What is preserved stays so. A large one is freed on a thread. */
  close(): void {
    this.#native.descriptors.closeAside(this.#file).catch(() => {});
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** The file that is preserved stays so until its session ends, which is when the update does. */
  #goOnElsewhere(): void {
    const { memory } = this.#native;
    const larger = newFile(this.#native);
    try {
      for (let at = 0; at < this.#bytes; at += pieceBytes) {
        const length = Math.min(pieceBytes, this.#bytes - at);
        memory.write(larger, BigInt(at), memory.read(this.#file, BigInt(at), length));
      }
    } catch (error) {
      larger.close();
      throw error;
    }
    this.#file.close();
    this.#file = larger;
    this.#place = null;
  }
}

const newFile = ({ memory }: Native): Descriptor => memory.memfdCreate('luo-machine-state');

/**
 * Records a little as a state is recorded, while the guest runs. What a program does for the first time it has to compile
 * first, and that would be done while the guest is stopped.
 */
async function warmUp(
  { sockets }: Native,
  file: Descriptor,
  directory: string,
  ending: AbortSignal,
): Promise<void> {
  const path = join(directory, 'warm-up');
  using listening = sockets.listenUnix(path);
  const into = { file, offset: 0, most: warmUpBytes };
  const from = { listening, pid: process.pid };
  const over = new AbortController();
  const signal = AbortSignal.any([ending, over.signal, AbortSignal.timeout(warmUpMs)]);
  const recording = recordStreamOf(sockets, from, into, signal);
  // Nobody waits for it if connecting fails.
  recording.catch(() => {});
  try {
    using sender = sockets.connectUnix(path);
    sockets.send(sender, Buffer.alloc(warmUpBytes));
    sockets.shutdownWrite(sender);
    await recording;
  } finally {
    // The thread ends before its socket is closed.
    over.abort();
  }
}
