// SPDX-License-Identifier: Apache-2.0
/** The sockets group of the face; see `face.ts` for each call. */
import {
  bytesOf,
  fdOf,
  fdsOf,
  functionOf,
  integerOf,
  offsetOf,
  optionsOf,
  shortTextOf,
} from './arguments.ts';
import type { FdLike, Poll, Received, Sockets } from './face.ts';
import { addon } from './load.ts';
import { OwnedDescriptor, whenceOf } from './owned-descriptor.ts';

const raw = addon.sockets;

/** Longest path of a Unix socket in bytes, without its terminator (unix(7)). */
const longestPath = 107;

/** Most descriptors in one message (SCM_MAX_FD, unix(7)). */
export const mostDescriptors = 253;

const defaultReceive = 65536;
const mostReceive = 2 ** 30;

const pollEvents = raw.POLL_READABLE | raw.POLL_WRITABLE | raw.POLL_DISCONNECT;

function pathOf(path: unknown): string {
  const text = shortTextOf(path, 'path', longestPath);
  // An empty path would bind to a name the kernel makes up.
  if (text === '') throw new RangeError('path must not be empty');
  return text;
}

/** Checks what the watcher is asked; the watching itself is libuv's. */
class DescriptorPoll implements Poll {
  readonly #raw;

  constructor(file: FdLike) {
    this.#raw = new raw.Poll(fdOf(file, 'file'), whenceOf(file) === 'outside');
  }

  start(events: number, onReady: Parameters<Poll['start']>[1]): void {
    integerOf(events, 'events', 1, pollEvents);
    this.#raw.start(events, functionOf(onReady, 'onReady'));
  }

  stop(): void {
    this.#raw.stop();
  }

  close(): void {
    this.#raw.close();
  }

  ref(): void {
    this.#raw.ref();
  }

  unref(): void {
    this.#raw.unref();
  }
}

function receive(socket: FdLike, stays: boolean, maxBytes = defaultReceive): Received | null {
  const most = integerOf(maxBytes, 'maxBytes', 1, mostReceive);
  const received = raw.receive(fdOf(socket, 'socket'), most, stays);
  if (received === null) return null;
  const owned = received.descriptors.map((fd) => new OwnedDescriptor(fd, 'receive', 'outside'));
  return { data: received.data, descriptors: owned, truncated: received.truncated };
}

export const sockets: Sockets = {
  listenUnix(path, options) {
    const names = ['mode', 'backlog', 'whence'] as const;
    const { mode = 0o600, backlog = 128, whence = 'here' } = optionsOf(options, 'options', names);
    if (whence !== 'here' && whence !== 'outside')
      throw new TypeError(`options.whence is ${String(whence)}; expected here or outside`);
    const fd = raw.listenUnix(
      pathOf(path),
      integerOf(mode, 'options.mode', 0, 0o777),
      integerOf(backlog, 'options.backlog', 0, 2 ** 31 - 1),
    );
    return new OwnedDescriptor(fd, `listenUnix(${JSON.stringify(path)})`, whence);
  },

  connectUnix(path) {
    const fd = raw.connectUnix(pathOf(path));
    return new OwnedDescriptor(fd, `connectUnix(${JSON.stringify(path)})`, 'outside');
  },

  accept(listening) {
    const fd = raw.accept(fdOf(listening, 'listening'));
    return fd === null ? null : new OwnedDescriptor(fd, 'accept', 'outside');
  },

  socketPair() {
    const [one, other] = raw.socketPair();
    return [new OwnedDescriptor(one, 'socketPair'), new OwnedDescriptor(other, 'socketPair')];
  },

  receive(socket, maxBytes) {
    return receive(socket, false, maxBytes);
  },

  peek(socket, maxBytes) {
    return receive(socket, true, maxBytes);
  },

  send(socket, data, descriptors = []) {
    const fds = fdsOf(descriptors, 'descriptors', mostDescriptors);
    // A stream carries descriptors on a byte; without one the kernel would drop them in silence.
    if (bytesOf(data, 'data').length === 0 && fds.length > 0) {
      throw new RangeError('data must hold at least one byte to carry descriptors, not 0');
    }
    return raw.send(fdOf(socket, 'socket'), data, fds);
  },

  async record(socket, file, offset, most) {
    return await raw.record(
      fdOf(socket, 'socket'),
      fdOf(file, 'file'),
      offsetOf(offset, 'offset'),
      offsetOf(most, 'most'),
    );
  },

  async recordFrom(listening, pid, file, offset, most) {
    const { bytes, endedAgoUs, rest } = await raw.recordFrom(
      fdOf(listening, 'listening'),
      integerOf(pid, 'pid', 1, 2 ** 31 - 1),
      fdOf(file, 'file'),
      offsetOf(offset, 'offset'),
      offsetOf(most, 'most'),
    );
    const owned = rest === null ? null : new OwnedDescriptor(rest, 'recordFrom', 'outside');
    return { bytes, endedAgoUs, rest: owned };
  },

  shutdownWrite(socket) {
    raw.shutdownWrite(fdOf(socket, 'socket'));
  },

  shutdown(socket) {
    raw.shutdown(fdOf(socket, 'socket'));
  },

  peerCredentials(socket) {
    return raw.peerCredentials(fdOf(socket, 'socket'));
  },

  poll(file) {
    return new DescriptorPoll(file);
  },

  POLL_READABLE: raw.POLL_READABLE,
  POLL_WRITABLE: raw.POLL_WRITABLE,
  POLL_DISCONNECT: raw.POLL_DISCONNECT,
};
