// SPDX-License-Identifier: Apache-2.0
/**
 * A connected Unix socket that carries messages: what a server's connection and a client have in common.
 *
 * Reading can be paused; the socket still notices then that the other side is gone. Every message is sent by a separate
 * `sendmsg`, so that its descriptors cannot be taken for another's. The connection ends once, for whatever reason. That
 * closes the socket and every descriptor still held, and rejects messages that were not sent.
 */
import { type Descriptor, type FdLike, native, type Poll } from '@luo-console/native';
import { ConnectionLost, ProtocolError } from './errors.ts';
import { closeAll, type Frame, Framer, maxDescriptors } from './framing.ts';

const receiveBytes = 65_536;
/** Reads on one socket before others get their turn. */
const readsPerTurn = 16;

export interface MessageSocketOptions {
  /** Longest message accepted, in bytes. */
  readonly limit: number;
  /**
   * Whether to notice the other side's end while reading is paused, at the price of what it sent before:
   * for a server, to which a caller that is gone has nothing left to say.
   */
  readonly endsWhilePaused: boolean;
  /** Milliseconds without the other side taking a byte after which it is given up; 0 for never. */
  readonly stallAfterMs: number;
  readonly onFrame: (frame: Frame) => void;
  /** The other side will send no more, but may still read. */
  readonly onEnd: () => void;
  /** Called once. `error` says why, and is null if it was this side's `close()`. */
  readonly onClosed: (error: Error | null) => void;
}

interface Outgoing {
  readonly data: Buffer;
  sent: number;
  readonly descriptors: Descriptor[];
  readonly done: () => void;
  readonly failed: (error: Error) => void;
}

/** What the kernel says of a peer that is gone is the end of a connection like any other. */
function asFailure(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  const code = 'code' in error ? error.code : null;
  if (code !== 'ECONNRESET' && code !== 'EPIPE') return error;
  return new ConnectionLost('the other side is gone', { cause: error });
}

export class MessageSocket {
  private readonly socket: Descriptor;
  private readonly options: MessageSocketOptions;
  private readonly poll: Poll;
  private readonly framer: Framer;
  private readonly outgoing: Outgoing[] = [];
  private stallTimer: NodeJS.Timeout | null = null;
  private watched = -1;
  private paused = false;
  private ended = false;
  private shut = false;

  /** @param socket connected and non-blocking; ownership passes to this object */
  constructor(socket: Descriptor, options: MessageSocketOptions) {
    this.socket = socket;
    this.options = options;
    this.framer = new Framer(options.limit);
    this.poll = native.sockets.poll(socket);
    this.watch();
  }

  get closed(): boolean {
    return this.shut;
  }

  /**
   * @param message is sent as JSON
   * @param descriptors travel beside it; duplicated here, so the caller may close its own at once
   * @returns when the kernel has taken all of it
   * @throws ConnectionLost if the connection ends first; RangeError for too many descriptors
   */
  send(message: object, descriptors: readonly FdLike[] = []): Promise<void> {
    if (this.shut) return Promise.reject(new ConnectionLost('the connection is closed'));
    if (descriptors.length > maxDescriptors) {
      return Promise.reject(
        new RangeError(`descriptors: ${descriptors.length} given; expected at most ${maxDescriptors}`),
      );
    }
    return new Promise((done, failed) => {
      const data = Buffer.from(`${JSON.stringify(message)}\0`);
      const copies: Descriptor[] = [];
      try {
        for (const descriptor of descriptors) copies.push(native.descriptors.duplicate(descriptor));
      } catch (error) {
        closeAll(copies);
        throw error;
      }
      this.outgoing.push({ data, sent: 0, descriptors: copies, done, failed });
      if (this.outgoing.length === 1) this.guard(() => this.flush());
    });
  }

  /** Stops taking messages in. */
  pause(): void {
    this.paused = true;
    this.watch();
  }

  resume(): void {
    this.paused = false;
    this.watch();
  }

  /** Whether the event loop is kept alive by this connection. */
  keepAlive(on: boolean): void {
    if (this.shut) return;
    if (on) this.poll.ref();
    else this.poll.unref();
  }

  /** Ends the connection. Closing twice does nothing. */
  close(error: Error | null = null): void {
    if (this.shut) return;
    this.shut = true;
    if (this.stallTimer !== null) clearTimeout(this.stallTimer);
    this.poll.close();
    this.socket.close();
    this.framer.dispose();
    const lost = new ConnectionLost(error?.message ?? 'the connection was closed', { cause: error });
    for (const message of this.outgoing.splice(0)) {
      closeAll(message.descriptors);
      message.failed(lost);
    }
    this.options.onClosed(error);
  }

  /** Runs `work`; what it throws ends the connection instead of the process. */
  private guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.close(asFailure(error));
    }
  }

  private watch(): void {
    if (this.shut) return;
    const { POLL_READABLE, POLL_WRITABLE, POLL_DISCONNECT } = native.sockets;
    let events = this.outgoing.length > 0 ? POLL_WRITABLE : 0;
    if (!this.ended && !this.paused) events |= POLL_READABLE;
    if (!this.ended && this.paused && this.options.endsWhilePaused) events |= POLL_DISCONNECT;
    if (events === this.watched) return;
    this.watched = events;
    if (events === 0) this.poll.stop();
    else this.poll.start(events, (error, ready) => this.guard(() => this.onReady(error, ready)));
  }

  private onReady(error: Error | null, ready: number): void {
    if (error !== null) {
      this.onPollError(error);
      return;
    }
    const { POLL_READABLE, POLL_WRITABLE, POLL_DISCONNECT } = native.sockets;
    if ((ready & POLL_WRITABLE) !== 0) this.flush();
    if ((ready & POLL_READABLE) !== 0) this.read();
    else if ((ready & POLL_DISCONNECT) !== 0) this.end();
  }

  /** The watcher has stopped itself. The socket may still hold what was sent before it broke. */
  private onPollError(error: Error): void {
    this.watched = -1;
    if (!this.read()) throw error;
    this.watch();
  }

  /** @returns whether there was anything to take in */
  private read(): boolean {
    for (let turn = 0; turn < readsPerTurn; turn += 1) {
      if (this.shut || this.paused || this.ended) return turn > 0;
      const received = native.sockets.receive(this.socket, receiveBytes);
      if (received === null) return turn > 0;
      if (received.truncated) {
        closeAll(received.descriptors);
        throw new ProtocolError('descriptors were lost on the way: too many, or none can be opened any more');
      }
      if (received.data.length === 0) this.end();
      else this.deliver(this.framer.push(received.data, received.descriptors));
    }
    return true;
  }

  private deliver(frames: readonly Frame[]): void {
    let failure: unknown = null;
    for (const frame of frames) {
      if (this.shut || failure !== null) {
        closeAll(frame.descriptors);
        continue;
      }
      try {
        this.options.onFrame(frame);
      } catch (error) {
        failure = error;
      }
    }
    if (failure !== null) throw failure;
  }

  /** The other side closed its sending direction, or both: an empty `sendmsg` tells (EPIPE for both). */
  private end(): void {
    const incomplete = this.framer.inMessage;
    this.framer.dispose();
    try {
      native.sockets.send(this.socket, new Uint8Array(0));
    } catch (error) {
      const when = incomplete ? 'in the middle of a message' : 'and is gone';
      throw new ConnectionLost(`the other side closed the connection ${when}`, { cause: error });
    }
    this.ended = true;
    this.watch();
    this.options.onEnd();
  }

  private flush(): void {
    for (;;) {
      const message = this.outgoing[0];
      if (message === undefined) break;
      const rest = message.data.subarray(message.sent);
      const taken = this.sendPiece(rest, message.sent === 0 ? message.descriptors : []);
      if (taken === null) break;
      closeAll(message.descriptors.splice(0));
      message.sent += taken;
      this.stopStallTimer();
      if (message.sent === message.data.length) {
        this.outgoing.shift();
        message.done();
      }
    }
    if (this.outgoing.length > 0) this.startStallTimer();
    this.watch();
  }

  /** What the other side said before it stopped listening is taken in before the failure is. */
  private sendPiece(data: Uint8Array, descriptors: readonly Descriptor[]): number | null {
    try {
      return native.sockets.send(this.socket, data, descriptors);
    } catch (error) {
      while (this.read());
      throw error;
    }
  }

  private startStallTimer(): void {
    const { stallAfterMs } = this.options;
    if (stallAfterMs === 0 || this.stallTimer !== null) return;
    this.stallTimer = setTimeout(() => {
      this.close(new ConnectionLost(`the other side read nothing for ${stallAfterMs} ms`));
    }, stallAfterMs);
  }

  private stopStallTimer(): void {
    if (this.stallTimer === null) return;
    clearTimeout(this.stallTimer);
    this.stallTimer = null;
  }
}
