// SPDX-License-Identifier: Apache-2.0
/**
 * A session of the double: a name, a direction, and files under tokens in the order they were preserved.
 *
 * Outgoing until the kexec, incoming after it. It ends when every copy of its descriptor is closed: outgoing, its
 * files are unpreserved newest first; incoming, it is finished.
 */
import { Handle } from './handle.ts';
import type { KeptFile } from './kept-file.ts';

/** Something the kernel does with a session or one of its files, in the order it does it. */
export interface DoubleEvent {
  readonly act: 'create' | 'preserve' | 'unpreserve' | 'freeze' | 'retrieve' | 'finish' | 'discard';
  readonly session: string;
  readonly token?: bigint;
}

export type Observe = (event: DoubleEvent) => void;

export class Session {
  readonly name: string;
  readonly direction: 'outgoing' | 'incoming';
  readonly files: Map<bigint, KeptFile>;
  readonly #observe: Observe;
  /** Null while nobody has retrieved an incoming session. */
  handle: Handle | null = null;

  private constructor(
    name: string,
    direction: 'outgoing' | 'incoming',
    files: Map<bigint, KeptFile>,
    observe: Observe,
  ) {
    this.name = name;
    this.direction = direction;
    this.files = files;
    this.#observe = observe;
  }

  static create(name: string, observe: Observe): Session {
    const session = new Session(name, 'outgoing', new Map(), observe);
    session.handle = new Handle();
    observe({ act: 'create', session: name });
    return session;
  }

  /** Whether this file is held: preserved and not yet unpreserved, or retrieved and not yet finished. */
  holds(identity: string): boolean {
    for (const file of this.files.values()) {
      if ((this.direction === 'outgoing' || file.retrieved) && file.identity === identity) return true;
    }
    return false;
  }

  /** Lets every file go, newest first: unpreserved before the kexec, finished after it. */
  letGo(): void {
    const act = this.direction === 'outgoing' ? 'unpreserve' : 'finish';
    for (const [token, file] of [...this.files].reverse()) {
      file.drop();
      this.#observe({ act, session: this.name, token });
    }
    this.files.clear();
  }

  /** This session in the next kernel, frozen in the order it was preserved. */
  handOver(): Session {
    const files = new Map<bigint, KeptFile>();
    for (const [token, file] of this.files) {
      this.#observe({ act: 'freeze', session: this.name, token });
      files.set(token, file.handOver());
    }
    this.handle?.close();
    return new Session(this.name, 'incoming', files, this.#observe);
  }

  /** Ends an incoming session the next kernel does not get to see. */
  discard(): void {
    for (const file of this.files.values()) file.drop();
    this.files.clear();
    this.handle?.close();
    this.#observe({ act: 'discard', session: this.name });
  }
}
