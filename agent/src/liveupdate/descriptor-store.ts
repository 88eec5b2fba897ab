// SPDX-License-Identifier: Apache-2.0
/**
 * The service manager's descriptor store. Closing a session undoes it, so an agent that dies must not be its only
 * holder. Every session descriptor and every preserved file is also handed to systemd (`FDSTORE=1`, sd_notify(3)). They
 * come back in `LISTEN_FDS` when the agent is started again.
 *
 * Names in the store: `s-` and the session's name in hexadecimal; `f-`, the same, `-` and the token's digits.
 *
 * A notification is a message nobody answers. `settled` sends a barrier after it: a descriptor whose other end
 * is closed by the manager once it has dealt with everything before it.
 */
import type { Descriptor, FdLike, Native } from '@luo-console/native';
import { Refusal } from '../host/refusal.ts';

export type StoredName =
  | { readonly kind: 'session'; readonly session: string }
  | { readonly kind: 'file'; readonly session: string; readonly token: bigint }
  | { readonly kind: 'other'; readonly name: string };

const hex = (text: string): string => Buffer.from(text, 'utf8').toString('hex');
/** Under which name a session is stored. */
export const sessionEntry = (session: string): string => `s-${hex(session)}`;
const fileEntry = (session: string, token: bigint): string => `f-${hex(session)}-${token.toString(16)}`;

/** What a name in `LISTEN_FDNAMES` stands for. */
export function parseStoredName(name: string): StoredName {
  const session = /^s-((?:[0-9a-f]{2})+)$/.exec(name);
  if (session?.[1]) return { kind: 'session', session: Buffer.from(session[1], 'hex').toString('utf8') };
  const file = /^f-((?:[0-9a-f]{2})+)-([0-9a-f]{1,16})$/.exec(name);
  if (file?.[1] && file[2]) {
    return {
      kind: 'file',
      session: Buffer.from(file[1], 'hex').toString('utf8'),
      token: BigInt(`0x${file[2]}`),
    };
  }
  return { kind: 'other', name };
}

/**
 * A session's descriptor that another process had, as one that was made here. It is closed at once then: the kernel lets
 * go what is in the session, and that has to be over before a file is preserved again or the name is used again.
 */
export const asOwnSession = ({ descriptors }: Native, session: Descriptor): Descriptor =>
  descriptors.takeOwnership(session.release());

export class DescriptorStore {
  readonly #native: Pick<Native, 'serviceManager' | 'sockets'>;
  readonly #names = new Set<string>();
  /** How many descriptors the manager keeps for this service (`$FDSTORE`, systemd 254 and later); null if it does not say. */
  readonly limit: number | null;

  constructor(native: Pick<Native, 'serviceManager' | 'sockets'>, limit: number | null) {
    this.#native = native;
    this.limit = limit;
  }

  /** Descriptors in the store now. */
  get used(): number {
    return this.#names.size;
  }

  /**
   * Checks that so many more descriptors will be kept: a manager that is full drops them without a word.
   *
   * @throws Refusal KernelCallFailed with `ENOSPC`
   */
  needRoom(more: number): void {
    if (this.limit === null || this.used + more <= this.limit) return;
    throw new Refusal('KernelCallFailed', {
      call: 'sd_notify(FDSTORE=1)',
      errno: 'ENOSPC',
      argument: `FileDescriptorStoreMax=${this.limit}`,
      message: `the service manager keeps ${this.limit} descriptors and has ${this.used}; one it does not keep would not survive the agent`,
    });
  }

  /** Records what came back at the start, without sending it again. */
  know(name: string): void {
    this.#names.add(name);
  }

  keepSession(session: string, descriptor: FdLike): void {
    this.#keep(sessionEntry(session), descriptor);
  }

  keepFile(session: string, token: bigint, descriptor: FdLike): void {
    this.#keep(fileEntry(session, token), descriptor);
  }

  dropSession(session: string): void {
    this.#drop(sessionEntry(session));
  }

  dropFile(session: string, token: bigint): void {
    this.#drop(fileEntry(session, token));
  }

  /** Drops everything the store has of a session. */
  dropAll(session: string): void {
    const prefix = `f-${hex(session)}-`;
    for (const name of [...this.#names]) if (name.startsWith(prefix)) this.#drop(name);
    this.dropSession(session);
  }

  /**
   * Resolves once the manager has taken in everything sent so far; at once without a manager.
   *
   * @returns whether there is a manager
   */
  async settled(): Promise<boolean> {
    const { sockets, serviceManager } = this.#native;
    const [ours, theirs] = sockets.socketPair();
    try {
      const sent = serviceManager.notify('BARRIER=1', [theirs]);
      theirs.close();
      if (!sent) return false;
      await new Promise<void>((resolve, reject) => {
        const poll = sockets.poll(ours);
        const events = sockets.POLL_READABLE | sockets.POLL_DISCONNECT;
        poll.start(events, (error) => {
          poll.close();
          if (error) reject(error);
          else resolve();
        });
      });
      return true;
    } finally {
      ours.close();
      theirs.close();
    }
  }

  #keep(name: string, descriptor: FdLike): void {
    this.#names.add(name);
    this.#native.serviceManager.notify(`FDSTORE=1\nFDNAME=${name}\nFDPOLL=0`, [descriptor]);
  }

  #drop(name: string): void {
    if (!this.#names.delete(name)) return;
    this.#native.serviceManager.notify(`FDSTOREREMOVE=1\nFDNAME=${name}`);
  }
}
