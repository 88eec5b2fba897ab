// SPDX-License-Identifier: Apache-2.0
/**
 * A descriptor with one owner.
 *
 * The holder of the object closes it, by `close()` or at the end of a `using` block, or gives the number away with
 * `release()`. A descriptor that is collected while open was forgotten, and is closed then. A process warning of type
 * `DescriptorLeak` says which number it was and what made it. The next forgotten one may be guest memory.
 *
 * Closing one that came from outside may take as long as its sender likes. Its file system may not answer, and a socket
 * may wait until it has sent what it has (`SO_LINGER`). So it is closed on another thread. One that was made here is closed
 * at once. That matters for the device and for sessions, because the kernel then gives up what was in them.
 */
import type { Descriptor, FdLike } from './face.ts';
import { addon } from './load.ts';

/** Outlives the object, so that the registry still knows what to close. */
interface Holding {
  fd: number;
  readonly origin: string;
  readonly whence: Whence;
}

/** Who made the open file: this process, or somebody else. */
export type Whence = 'here' | 'outside';

function closeNumber(fd: number, whence: Whence): void {
  if (whence === 'here') addon.descriptors.close(fd);
  else addon.descriptors.closeOutside(fd);
}

const forgotten = new FinalizationRegistry<Holding>((holding) => {
  if (holding.fd < 0) return;
  const outcome = closeForgotten(holding);
  process.emitWarning(`descriptor ${holding.fd} from ${holding.origin} was dropped open; ${outcome}`, {
    type: 'DescriptorLeak',
  });
});

/** Nobody could catch what is thrown out of a finaliser: a failure becomes part of the warning. */
function closeForgotten({ fd, whence }: Holding): string {
  try {
    closeNumber(fd, whence);
    return whence === 'here' ? 'it is closed now' : 'it is being closed';
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
  constructor(fd: number, origin: string, whence: Whence = 'here') {
    this.#holding = { fd, origin, whence };
    forgotten.register(this, this.#holding, this.#holding);
  }

  get fd(): number {
    return this.#holding.fd;
  }

  get closed(): boolean {
    return this.#holding.fd < 0;
  }

  get whence(): Whence {
    return this.#holding.whence;
  }

  close(): void {
    if (!this.closed) closeNumber(this.release(), this.whence);
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

/** Where a descriptor is from. Of a bare number nobody knows. */
export const whenceOf = (file: FdLike): Whence => (file instanceof OwnedDescriptor ? file.whence : 'outside');
