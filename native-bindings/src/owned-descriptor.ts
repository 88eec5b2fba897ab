// SPDX-License-Identifier: Apache-2.0
/**
 * A descriptor with one owner.
 *
 * The holder of the object closes it, by `close()` or at the end of a `using` block, or gives the number away with
 * `release()`. A descriptor that is collected while open was forgotten, and is closed then. A process warning of type
 * `DescriptorLeak` says which number it was and what made it. The next forgotten one may be guest memory.
 */
import type { Descriptor } from './face.ts';
import { addon } from './load.ts';

/** Outlives the object, so that the registry still knows what to close. */
interface Holding {
  fd: number;
  readonly origin: string;
}

const forgotten = new FinalizationRegistry<Holding>((holding) => {
  if (holding.fd < 0) return;
  const outcome = closeForgotten(holding.fd);
  process.emitWarning(`descriptor ${holding.fd} from ${holding.origin} was dropped open; ${outcome}`, {
    type: 'DescriptorLeak',
  });
});

/** Nobody could catch what is thrown out of a finaliser: a failure becomes part of the warning. */
function closeForgotten(fd: number): string {
  try {
    addon.descriptors.close(fd);
    return 'it is closed now';
  } catch (error) {
    return `closing it failed: ${error instanceof Error ? error.message : error}`;
  }
}

export class OwnedDescriptor implements Descriptor {
  readonly #holding: Holding;

  /**
   * Takes ownership of `fd`, which must be open; `descriptors.takeOwnership` checks that it is.
   *
   * @param origin what made it, for the warning
   */
  constructor(fd: number, origin: string) {
    this.#holding = { fd, origin };
    forgotten.register(this, this.#holding, this.#holding);
  }

  get fd(): number {
    return this.#holding.fd;
  }

  get closed(): boolean {
    return this.#holding.fd < 0;
  }

  close(): void {
    if (!this.closed) addon.descriptors.close(this.release());
  }

  /** The number, now the caller's to close; -1 if it is closed or released already. */
  release(): number {
    const { fd } = this.#holding;
    this.#holding.fd = -1;
    forgotten.unregister(this.#holding);
    return fd;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
