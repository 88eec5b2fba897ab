// SPDX-License-Identifier: Apache-2.0
/**
 * One client of the server. Its calls are answered one after the other, in the order in which they came. While too many
 * calls wait, or a reply waits to be read, the server takes nothing more in.
 */
import { type Descriptor, native, type PeerCredentials } from '@luo-console/native';
import type { Service } from './definition.ts';
import { type CallEnvelope, readCall } from './envelope.ts';
import { ProtocolError, serviceError } from './errors.ts';
import { closeAll, type Frame } from './framing.ts';
import { MessageSocket } from './message-socket.ts';
import { type CallContext, type Log, serveCall } from './served-call.ts';

/** Calls that may wait behind the one under way, and bytes of them: what a client can have the service keep for it. */
const waitingCalls = 16;
const waitingBytes = 256 * 1024;

export interface ConnectionOptions {
  readonly services: ReadonlyMap<string, Service>;
  readonly admit: (peer: PeerCredentials) => boolean;
  readonly log: Log;
  readonly translate: CallContext['translate'];
  readonly messageLimit: number;
  readonly stallAfterMs: number;
  /** Called once, when the connection is closed and no handler of it runs any more. */
  readonly onFinished: () => void;
}

export class ServedConnection {
  private readonly options: ConnectionOptions;
  private readonly peer: PeerCredentials;
  private readonly admitted: boolean;
  private readonly socket: MessageSocket;
  private readonly vanished = new AbortController();
  private readonly waiting: { envelope: CallEnvelope; frame: Frame }[] = [];
  private waitingSize = 0;
  private running = false;
  private ending = false;

  /**
   * @param accepted ownership passes to this object
   * @throws SystemError if the kernel will not say who the other side is; `accepted` is then still the caller's
   */
  constructor(accepted: Descriptor, options: ConnectionOptions) {
    this.options = options;
    this.peer = native.sockets.peerCredentials(accepted);
    this.admitted = options.admit(this.peer);
    this.socket = new MessageSocket(accepted, {
      limit: options.messageLimit,
      stallAfterMs: options.stallAfterMs,
      endsWhilePaused: true,
      onFrame: (frame) => this.onFrame(frame),
      onEnd: () => this.end(),
      onClosed: (error) => this.onClosed(error),
    });
  }

  /** Takes no further calls; the connection closes when those it has are answered. Aborts their signals. */
  finish(): void {
    this.vanished.abort();
    this.socket.pause();
    this.end();
  }

  private end(): void {
    this.ending = true;
    if (!this.running) this.socket.close();
  }

  private onFrame(frame: Frame): void {
    let envelope: CallEnvelope;
    try {
      envelope = readCall(frame.text);
    } catch (error) {
      closeAll(frame.descriptors);
      throw error;
    }
    this.waiting.push({ envelope, frame });
    this.waitingSize += frame.text.length;
    if (this.crowded) this.socket.pause();
    if (!this.running) void this.run();
  }

  private get crowded(): boolean {
    return this.waiting.length >= waitingCalls || this.waitingSize >= waitingBytes;
  }

  private async run(): Promise<void> {
    this.running = true;
    const { services, log, translate } = this.options;
    const { socket, peer } = this;
    const context = { socket, peer, services, log, translate, signal: this.vanished.signal };
    for (;;) {
      const next = this.waiting.shift();
      if (next === undefined) break;
      this.waitingSize -= next.frame.text.length;
      if (!this.crowded && !this.ending) this.socket.resume();
      if (this.admitted) {
        await serveCall(next.envelope, next.frame, context);
      } else {
        closeAll(next.frame.descriptors);
        await this.refuse();
      }
    }
    this.running = false;
    if (socket.closed) this.options.onFinished();
    else if (this.ending) socket.close();
  }

  /** Answers a peer that is not admitted, once. */
  private async refuse(): Promise<void> {
    const { error, parameters } = serviceError.permissionDenied();
    await this.socket.send({ error, parameters }).catch(() => undefined);
    this.socket.close();
  }

  private onClosed(error: Error | null): void {
    this.vanished.abort();
    for (const { frame } of this.waiting.splice(0)) closeAll(frame.descriptors);
    // Hanging up between calls is how a connection normally ends.
    if (error !== null && (this.running || error instanceof ProtocolError)) {
      const { pid, uid } = this.peer;
      const level = error instanceof ProtocolError ? 'warning' : 'debug';
      this.options.log(level, `dropped a client: ${error.message}`, { pid, uid });
    }
    if (!this.running) this.options.onFinished();
  }
}
