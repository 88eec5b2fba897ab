// SPDX-License-Identifier: Apache-2.0
/**
 * A Varlink server on a listening Unix socket. Nothing that a client sends, or fails to send or read, ends it.
 */
import { type Descriptor, native, type PeerCredentials } from '@luo-console/native';
import { createBuiltinService, type ServiceInfo } from './builtin-service.ts';
import type { Service } from './definition.ts';
import type { VarlinkError } from './errors.ts';
import type { Log } from './served-call.ts';
import { type ConnectionOptions, ServedConnection } from './served-connection.ts';

export interface ServeOptions {
  /** Listening and non-blocking. Ownership passes to the server. */
  readonly listening: Descriptor;
  readonly info: ServiceInfo;
  readonly interfaces: readonly Service[];
  /** Whether a process may call at all; one that may not is answered PermissionDenied. */
  readonly admit: (peer: PeerCredentials) => boolean;
  readonly log: Log;
  /** Makes an answer of an exception of a handler that is not a VarlinkError; null for an internal error. */
  readonly translate?: (error: unknown, method: string) => VarlinkError | null;
  /** Longest call in bytes; 1 MiB unless given. */
  readonly messageLimit?: number;
  /** Clients at one time; 256 unless given. Those beyond are turned away, except those of a reserved share. */
  readonly connectionLimit?: number;
  /** Which share of the connections a process draws on; one share for everybody unless given. */
  readonly share?: (peer: PeerCredentials) => Share;
  /** Milliseconds after which a client that does not read its reply is dropped; a minute unless given. */
  readonly stallAfterMs?: number;
}

/** Connections are counted by share, so that nobody can keep others out by holding them all. */
export interface Share {
  readonly name: string;
  /** Connections at one time. */
  readonly limit: number;
  /** Whether they count for the limit of all. */
  readonly reserved?: boolean;
}

export interface Server {
  /** Clients connected now. */
  readonly connections: number;
  /** Takes no more calls, aborts the signals of those under way and resolves when they are answered. */
  close(): Promise<void>;
}

/** Clients taken in one turn of the event loop: somebody may connect without end, and others must have their turn. */
const acceptsAtOnce = 16;

/** Pause before accepting again after the kernel refused to, in milliseconds. */
const retryAcceptMs = 250;

class ListeningServer implements Server {
  private readonly options: ServeOptions;
  private readonly connectionOptions: Omit<ConnectionOptions, 'onFinished'>;
  private readonly poll;
  private readonly open = new Map<ServedConnection, Share>();
  /** Shares that are full, and were said to be. */
  private readonly full = new Set<string>();
  private retry: NodeJS.Timeout | null = null;
  private finished: (() => void) | null = null;
  private closing: Promise<void> | null = null;

  constructor(options: ServeOptions) {
    this.options = options;
    const services = [createBuiltinService(options.info, options.interfaces), ...options.interfaces];
    this.connectionOptions = {
      services: new Map(services.map((service) => [service.definition.name, service])),
      admit: options.admit,
      log: options.log,
      translate: options.translate ?? (() => null),
      messageLimit: options.messageLimit ?? 1_048_576,
      stallAfterMs: options.stallAfterMs ?? 60_000,
    };
    this.poll = native.sockets.poll(options.listening);
    this.startAccepting();
  }

  get connections(): number {
    return this.open.size;
  }

  close(): Promise<void> {
    this.closing ??= new Promise((resolve) => {
      this.finished = resolve;
      if (this.retry !== null) clearTimeout(this.retry);
      this.poll.close();
      this.options.listening.close();
      for (const connection of [...this.open.keys()]) connection.finish();
      this.settle();
    });
    return this.closing;
  }

  private settle(): void {
    if (this.open.size === 0) this.finished?.();
  }

  private startAccepting(): void {
    this.poll.start(native.sockets.POLL_READABLE, (error) => {
      if (error === null) this.acceptSome();
      else this.acceptLater(error);
    });
  }

  /** While more wait the socket stays readable, and the next turn goes on. */
  private acceptSome(): void {
    try {
      for (let number = 0; number < acceptsAtOnce; number += 1) {
        const accepted = native.sockets.accept(this.options.listening);
        if (accepted === null) return;
        this.admit(accepted);
      }
    } catch (error) {
      this.acceptLater(error);
    }
  }

  /** Out of descriptors or memory: the listening socket stays readable, so watching on would spin. */
  private acceptLater(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    this.options.log('error', `cannot accept a client, trying again in ${retryAcceptMs} ms: ${text}`);
    this.poll.stop();
    this.retry = setTimeout(() => this.startAccepting(), retryAcceptMs);
  }

  private admit(accepted: Descriptor): void {
    try {
      const share = this.shareOf(native.sockets.peerCredentials(accepted));
      if (!this.hasRoom(share)) {
        accepted.close();
        return;
      }
      const connection: ServedConnection = new ServedConnection(accepted, {
        ...this.connectionOptions,
        onFinished: () => {
          this.open.delete(connection);
          this.full.delete(share.name);
          this.settle();
        },
      });
      this.open.set(connection, share);
    } catch (error) {
      accepted.close();
      const text = error instanceof Error ? error.message : String(error);
      this.options.log('warning', `dropped a client before its first call: ${text}`);
    }
  }

  private shareOf(peer: PeerCredentials): Share {
    return this.options.share?.(peer) ?? { name: 'everybody', limit: Number.POSITIVE_INFINITY };
  }

  /** Says it once when a share is full, not for each who comes then: turning away must not fill the log. */
  private hasRoom(share: Share): boolean {
    const shares = [...this.open.values()];
    const own = shares.filter(({ name }) => name === share.name).length;
    const all = shares.filter(({ reserved }) => reserved !== true).length;
    const most = this.options.connectionLimit ?? 256;
    if (own < share.limit && (share.reserved === true || all < most)) return true;
    if (!this.full.has(share.name)) {
      const held = own >= share.limit ? `${own} of ${share.name}` : String(all);
      this.options.log('warning', `turned a client away: ${held} are connected already`);
    }
    this.full.add(share.name);
    return false;
  }
}

/**
 * Serves interfaces, and `org.varlink.service` beside them, until closed.
 *
 * @throws SystemError if the listening socket cannot be watched
 */
export function serve(options: ServeOptions): Server {
  return new ListeningServer(options);
}
