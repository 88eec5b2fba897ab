// SPDX-License-Identifier: Apache-2.0
/**
 * What QEMU tells of a guest by itself while the agent is connected. Somebody with another monitor may pause it, let it
 * run, or take a device away, at any moment of an update. QEMU has no event for a device that is added.
 */
import { visible } from '../host/plain-words.ts';
import { isLive } from './guest-states.ts';
import type { QmpEvent } from './qmp-client.ts';

/** What of a device's name is shown to people, in characters. */
const longestName = 100;

export class GuestWatch {
  #runs = false;
  #stopped = false;
  #problem: string | null = null;

  /** Whether the guest runs; once the agent stops it, whether it ran until then. */
  get ran(): boolean {
    return this.#runs;
  }

  /** Why the guest is not as it is being saved, or was saved; null if it is. */
  get problem(): string | null {
    return this.#problem;
  }

  /** @param status QEMU's word, from an answer */
  is(status: string): void {
    if (!this.#stopped) this.#runs = isLive(status);
  }

  /** From here on it is the agent that stops the guest. */
  stop(): void {
    this.#stopped = true;
  }

  hear({ event, data }: QmpEvent): void {
    if (event === 'DEVICE_DELETED') {
      const name = visible(String(data['device'] ?? data['path'] ?? '').slice(0, longestName));
      this.#problem ??= `its device ${name} has been removed`;
    } else if (event === 'RESUME' && this.#stopped) {
      this.#problem ??= 'somebody else let its guest run after it was stopped';
    } else if (event === 'RESUME' || event === 'STOP') {
      if (!this.#stopped) this.#runs = event === 'RESUME';
    }
  }
}
