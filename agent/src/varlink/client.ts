// SPDX-License-Identifier: Apache-2.0
/**
 * The calling side of a Varlink connection. Calls may be made before earlier ones are answered; the other side answers
 * them in order. A call with many replies therefore holds up those behind it. The only way to stop it early is to end
 * the connection, so give it a separate one.
 */
import { type Descriptor, type FdLike, native } from '@luo-console/native';
import { readReply } from './envelope.ts';
import { ConnectionLost, ProtocolError, VarlinkError } from './errors.ts';
import { closeAll, type Frame } from './framing.ts';
import { MessageSocket } from './message-socket.ts';

export interface Reply {
  readonly reply: Readonly<Record<string, unknown>>;
  /** Owned by the caller, who closes them. */
  readonly descriptors: Descriptor[];
}

export interface Client {
  /**
   * @param method qualified name
   * @param options.descriptors travel beside the call; the caller keeps its own
   * @throws VarlinkError if that is the answer; ConnectionLost if no answer comes
   */
  call(method: string, parameters: object, options?: { descriptors?: readonly FdLike[] }): Promise<Reply>;
  /**
   * Replies as they come, until the last one. Leaving the loop early, or aborting, closes the connection.
   * @throws VarlinkError, ConnectionLost; the signal's reason if aborted
   */
  stream(
    method: string,
    parameters: object,
    options?: { signal?: AbortSignal },
  ): AsyncGenerator<Reply, void, void>;
  /** Ends the connection; `reason`, if given, is what calls under way fail with. Closing twice does nothing. */
  close(reason?: ConnectionLost): void;
  /** Settles when the connection has ended: with why, or null if it was closed on this side. */
  readonly closed: Promise<Error | null>;
}

/** Replies kept ready for a reader that is slower than the other side. */
const readAhead = 16;

interface Pending {
  readonly onReply: (reply: Reply, last: boolean) => void;
  readonly onError: (error: Error) => void;
}

class ConnectedClient implements Client {
  readonly closed: Promise<Error | null>;
  private readonly socket: MessageSocket;
  private readonly pending: Pending[] = [];

  constructor(connected: Descriptor, limit: number) {
    const { promise, resolve } = Promise.withResolvers<Error | null>();
    this.closed = promise;
    this.socket = new MessageSocket(connected, {
      limit,
      stallAfterMs: 0,
      endsWhilePaused: false,
      onFrame: (frame) => this.onFrame(frame),
      onEnd: () => this.socket.close(new ConnectionLost('the service closed the connection')),
      onClosed: (error) => {
        this.failPending(error);
        resolve(error);
      },
    });
    // An idle connection is no reason for a program to stay.
    this.socket.keepAlive(false);
  }

  close(reason?: ConnectionLost): void {
    this.socket.close(reason);
  }

  async call(
    method: string,
    parameters: object,
    options: { descriptors?: readonly FdLike[] } = {},
  ): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const onReply = (reply: Reply, last: boolean): void => {
      if (last) {
        resolve(reply);
        return;
      }
      closeAll(reply.descriptors);
      throw new ProtocolError(`${method}: more than one reply where one was asked for`);
    };
    await Promise.all([
      this.send({ method, parameters }, { onReply, onError: reject }, options.descriptors),
      promise,
    ]);
    return promise;
  }

  async *stream(
    method: string,
    parameters: object,
    { signal }: { signal?: AbortSignal } = {},
  ): AsyncGenerator<Reply, void, void> {
    signal?.throwIfAborted();
    const ready: Reply[] = [];
    let finished = false;
    let failure: Error | null = null;
    let wake: () => void = () => undefined;
    const onReply = (reply: Reply, last: boolean): void => {
      ready.push(reply);
      finished = last;
      if (ready.length >= readAhead && !last) this.socket.pause();
      wake();
    };
    const onError = (error: Error): void => {
      failure = error;
      finished = true;
      wake();
    };
    const onAbort = (): void => this.socket.close();
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      this.send({ method, parameters, more: true }, { onReply, onError }).catch(onError);
      for (;;) {
        const reply = ready.shift();
        if (reply !== undefined) {
          if (ready.length < readAhead) this.socket.resume();
          yield reply;
          continue;
        }
        signal?.throwIfAborted();
        if (failure !== null) throw failure;
        if (finished) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      signal?.removeEventListener('abort', onAbort);
      for (const { descriptors } of ready) closeAll(descriptors);
      if (!finished) this.socket.close();
    }
  }

  private async send(message: object, pending: Pending, descriptors: readonly FdLike[] = []): Promise<void> {
    if (this.socket.closed) throw new ConnectionLost('the connection is closed');
    this.pending.push(pending);
    this.socket.keepAlive(true);
    try {
      await this.socket.send(message, descriptors);
    } catch (error) {
      // Nothing was sent, so nothing will be answered: the call behind must not get the wrong reply.
      const index = this.pending.indexOf(pending);
      if (index >= 0) this.pending.splice(index, 1);
      throw error;
    }
  }

  private onFrame(frame: Frame): void {
    const [pending] = this.pending;
    try {
      if (pending === undefined) throw new ProtocolError('a reply to nothing');
      const { parameters, continues, error } = readReply(frame.text);
      if (error !== null || !continues) this.pending.shift();
      if (this.pending.length === 0) this.socket.keepAlive(false);
      if (error !== null) {
        closeAll(frame.descriptors);
        pending.onError(new VarlinkError(error, parameters));
      } else {
        pending.onReply({ reply: parameters, descriptors: frame.descriptors }, !continues);
      }
    } catch (error) {
      closeAll(frame.descriptors);
      throw error;
    }
  }

  private failPending(error: Error | null): void {
    const lost =
      error instanceof ProtocolError || error instanceof ConnectionLost
        ? error
        : new ConnectionLost(error?.message ?? 'the connection was closed', { cause: error });
    for (const pending of this.pending.splice(0)) pending.onError(lost);
  }
}

/**
 * @param path of the service's socket
 * @param options.messageLimit longest reply in bytes; 16 MiB unless given
 * @throws SystemError: ENOENT no such socket, ECONNREFUSED nobody listens, EACCES not permitted
 */
export function connectVarlink(path: string, options: { messageLimit?: number } = {}): Client {
  return new ConnectedClient(native.sockets.connectUnix(path), options.messageLimit ?? 16_777_216);
}
