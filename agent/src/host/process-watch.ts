// SPDX-License-Identifier: Apache-2.0
/** Being told when a process ends, by its pidfd: it becomes readable then (pidfd_open(2)). */
import type { Descriptor, Native, Poll } from '@luo-console/native';
import { errnoOf } from './refusal.ts';

export class ProcessWatch {
  readonly #native: Native;
  readonly #watched = new Map<string, { readonly pidfd: Descriptor; readonly poll: Poll }>();

  constructor(native: Native) {
    this.#native = native;
  }

  /** Calls `onEnd` once when the process ends, or at once if there is none. Replaces what was watched under `key`. */
  on(key: string, pid: number, onEnd: () => void): void {
    this.forget(key);
    const { descriptors, sockets } = this.#native;
    let pidfd: Descriptor;
    try {
      pidfd = descriptors.pidfdOpen(pid);
    } catch (error) {
      if (errnoOf(error) !== 'ESRCH') throw error;
      onEnd();
      return;
    }
    const poll = sockets.poll(pidfd);
    this.#watched.set(key, { pidfd, poll });
    poll.start(sockets.POLL_READABLE, () => {
      this.forget(key);
      onEnd();
    });
    // The agent ends when it is told to, watching or not.
    poll.unref();
  }

  forget(key: string): void {
    const watched = this.#watched.get(key);
    if (!watched) return;
    this.#watched.delete(key);
    watched.poll.close();
    watched.pidfd.close();
  }
}
