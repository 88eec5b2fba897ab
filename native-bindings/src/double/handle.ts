// SPDX-License-Identifier: Apache-2.0
/**
 * A real descriptor that stands for something in memory.
 *
 * The double's device and sessions must behave as descriptors do: they can be duplicated and sent to other processes,
 * and end with the last copy. So each is one end of a socket pair. The double keeps the other end. It sees end of file
 * there once every copy of the first is closed. The inode number tells which is which.
 */
import { descriptors } from '../descriptors.ts';
import type { Descriptor, FdLike } from '../face.ts';
import { memory } from '../memory.ts';
import { OwnedDescriptor } from '../owned-descriptor.ts';
import { sockets } from '../sockets.ts';

/** What distinguishes one open file from all others: device and inode. Throws `EBADF` if `file` is not open. */
export function identityOf(file: FdLike): string {
  const { dev, ino } = memory.fileFacts(file);
  return `${dev}:${ino}`;
}

export class Handle {
  readonly identity: string;
  readonly #watched: Descriptor;
  #given: Descriptor | null;

  constructor() {
    const [given, watched] = sockets.socketPair();
    this.#given = given;
    this.#watched = watched;
    this.identity = identityOf(given);
  }

  /** The caller's descriptor; take it once. `origin` is for the warning about a dropped one. */
  take(origin: string): Descriptor {
    if (this.#given === null) throw new Error('the descriptor of this handle is taken');
    const fd = this.#given.release();
    this.#given = null;
    return new OwnedDescriptor(fd, origin);
  }

  /** Whether every copy of the descriptor is closed. */
  get abandoned(): boolean {
    const received = sockets.receive(this.#watched, 1);
    return received !== null && received.data.length === 0;
  }

  close(): void {
    this.#given?.close();
    this.#watched.close();
  }
}

/** A second descriptor of an open file, owned by the double. */
export function coOwn(file: FdLike): Descriptor {
  return descriptors.duplicate(file);
}
