// SPDX-License-Identifier: Apache-2.0
/**
 * An index session that cannot be finished yet: what is held of machines that do not run is in it and nowhere else. It
 * stays open here and in the descriptor store. The next start of the agent tries again.
 */
import type { Descriptor } from '@luo-console/native';

export class UnfinishedIndex {
  // Closing its last descriptor would finish it.
  #session: Descriptor | null = null;
  #why: string | null = null;

  /** Why it cannot be finished, in words; null if there is none. */
  get why(): string | null {
    return this.#why;
  }

  /** Keeps it open while it is not known yet whether it can be finished: its last descriptor may be nowhere else. */
  hold(session: Descriptor): void {
    this.#session ??= session;
  }

  /** Says of one that is held that it cannot be finished. @param why in words */
  cannotFinish(why: string): void {
    if (this.#session !== null) this.#why ??= why;
  }

  /** @param why what could not be kept elsewhere, in words */
  keep(session: Descriptor, why: string): void {
    this.#session ??= session;
    this.#why = why;
  }
}
