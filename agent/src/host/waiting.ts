// SPDX-License-Identifier: Apache-2.0
/** Waiting for descriptors, sockets and processes, each as one promise that a signal can end. */
import { existsSync, watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Descriptor, FdLike, Native } from '@luo-console/native';
import { peerPid, Stranger } from './peer.ts';
import { errnoOf } from './refusal.ts';

type Sockets = Native['sockets'];

/** How long to wait before a socket that a stranger has is tried again, in ms. */
export const strangerMs = 20;

/** Resolves once one of `events` (a mask of `POLL_…`) is there. @throws the signal's reason */
export function whenReady(
  sockets: Sockets,
  file: FdLike,
  events: number,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const poll = sockets.poll(file);
    const end = (settle: () => void): void => {
      signal.removeEventListener('abort', aborted);
      poll.close();
      settle();
    };
    const aborted = (): void => end(() => reject(signal.reason));
    signal.addEventListener('abort', aborted);
    poll.start(events, (error) => {
      // What libuv calls EBADF is POLLERR, the other side of a socket being gone: the next call on it says so.
      end(() => (error && errnoOf(error) !== 'EBADF' ? reject(error) : resolve()));
    });
  });
}

/**
 * The next connection that a process makes to a listening socket. Those of other processes are closed, and waiting
 * goes on.
 *
 * @throws the signal's reason; Stranger if the signal ended it, and others had connected
 */
export async function accepted(
  sockets: Sockets,
  { listening, pid }: { readonly listening: FdLike; readonly pid: number },
  signal: AbortSignal,
): Promise<Descriptor> {
  let stranger: Stranger | null = null;
  for (;;) {
    const connection = sockets.accept(listening);
    if (connection !== null) {
      const peer = peerPid(sockets, connection);
      if (peer === pid) return connection;
      connection.close();
      stranger = new Stranger(`process ${peer} connected in place of process ${pid}`);
    }
    // Also after a stranger: others have their turn, however many strangers there are.
    await orStranger(whenReady(sockets, listening, sockets.POLL_READABLE, signal), stranger);
  }
}

/** Waits; if that fails and there is a stranger, the stranger says more than the end of the wait. */
async function orStranger(waiting: Promise<void>, stranger: Stranger | null): Promise<void> {
  try {
    await waiting;
  } catch (error) {
    throw stranger ?? error;
  }
}

/** Resolves once there is something of that name. The directory must be there. */
export function whenNamed(path: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const watcher = watch(dirname(path), (_event, name) => {
      if (name === basename(path)) end(resolve);
    });
    const end = (settle: () => void): void => {
      watcher.close();
      signal.removeEventListener('abort', aborted);
      settle();
    };
    const aborted = (): void => end(() => reject(signal.reason));
    signal.addEventListener('abort', aborted);
    if (signal.aborted) aborted();
    // It may have come before anybody watched.
    else if (existsSync(path)) end(resolve);
  });
}

/** A pause that a signal ends. @throws the signal's reason */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => end(resolve), ms);
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', aborted);
      settle();
    };
    const aborted = (): void => end(() => reject(signal.reason));
    signal.addEventListener('abort', aborted);
  });
}
