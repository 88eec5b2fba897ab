// SPDX-License-Identifier: Apache-2.0
/**
 * The service manager's descriptor store. Closing a session undoes it, so an agent that dies must not be its only
 * holder. Every session descriptor and every preserved file is also handed to systemd (`FDSTORE=1`, sd_notify(3)). They
 * come back in `LISTEN_FDS` when the agent is started again.
 *
 * Names in the store:
 *
 *     s-NAME                a session, with its name in hexadecimal
 *     f-NAME-TOKEN          a part of its manifest, with its token in hexadecimal
 *     f-NAME-TOKEN-NUMBER   the first part, which gives the session a short number
 *     fNUMBER-TOKEN         any other file of that session; number and token have the base 36
 *     f-NAME-TOKEN          one that an earlier agent stored
 *
 * All names together come back in one variable of the environment, and the kernel takes no more than 128 KiB of one
 * (`MAX_ARG_STRLEN`, include/uapi/linux/binfmts.h). With more, the agent could not be started any more.
 *
 * A notification is a message nobody answers. `settled` sends a barrier after it: a descriptor whose other end
 * is closed by the manager once it has dealt with everything before it.
 */
import type { Descriptor, FdLike, Native } from '@luo-console/native';
import { Refusal } from '../host/refusal.ts';
import { whenReady } from '../host/waiting.ts';
import { manifestToken } from './tokens.ts';

export type StoredName =
  | { readonly kind: 'session'; readonly session: string }
  | {
      readonly kind: 'file';
      readonly session: string;
      readonly token: bigint;
      /** The number that it gives its session; null if it gives none. */
      readonly number: number | null;
    }
  | { readonly kind: 'numbered'; readonly number: number; readonly token: bigint }
  | { readonly kind: 'other'; readonly name: string };

const hex = (text: string): string => Buffer.from(text, 'utf8').toString('hex');
/** Under which name a session is stored. */
export const sessionEntry = (session: string): string => `s-${hex(session)}`;
const fileEntry = (session: string, token: bigint): string => `f-${hex(session)}-${token.toString(16)}`;

/** Bytes of all names with what is between them. Less than the kernel takes: names of manifests and sockets are longer. */
const mostNameBytes = 96 * 1024;
/** The longest name of a file in a session that has a number, in bytes. */
const longestNumbered = 24;
const base = 36;
/** How long the manager may take, in ms. It answers nobody while it reads its units again. */
const managerMs = 30_000;
const bytesOf = (name: string): number => name.length + 1;

/** A number in digits and letters (base 36). */
function tokenIn(text: string): bigint {
  let token = 0n;
  for (const digit of text) token = token * BigInt(base) + BigInt(Number.parseInt(digit, base));
  return token;
}

/** What a name in `LISTEN_FDNAMES` stands for. */
export function parseStoredName(name: string): StoredName {
  const session = /^s-((?:[0-9a-f]{2})+)$/.exec(name);
  if (session?.[1]) return { kind: 'session', session: Buffer.from(session[1], 'hex').toString('utf8') };
  const numbered = /^f([0-9a-z]{1,4})-([0-9a-z]{1,13})$/.exec(name);
  if (numbered?.[1] && numbered[2])
    return { kind: 'numbered', number: Number.parseInt(numbered[1], base), token: tokenIn(numbered[2]) };
  const file = /^f-((?:[0-9a-f]{2})+)-([0-9a-f]{1,16})(?:-([0-9a-z]{1,4}))?$/.exec(name);
  if (file?.[1] && file[2]) {
    return {
      kind: 'file',
      session: Buffer.from(file[1], 'hex').toString('utf8'),
      token: BigInt(`0x${file[2]}`),
      number: file[3] === undefined ? null : Number.parseInt(file[3], base),
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
  #nameBytes = 0;
  /** The short numbers of sessions. */
  readonly #numbers = new Map<string, number>();
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
    const full = { call: 'sd_notify(FDSTORE=1)', errno: 'ENOSPC' };
    if (this.limit !== null && this.used + more > this.limit)
      throw new Refusal('KernelCallFailed', {
        ...full,
        argument: `FileDescriptorStoreMax=${this.limit}`,
        message: `the service manager keeps ${this.limit} descriptors and has ${this.used}; one it does not keep would not survive the agent`,
      });
    if (this.#nameBytes + more * longestNumbered > mostNameBytes)
      throw new Refusal('KernelCallFailed', {
        ...full,
        argument: `LISTEN_FDNAMES=${this.#nameBytes} bytes`,
        message: `the service manager keeps ${this.used} descriptors, whose names have ${this.#nameBytes} bytes; with over ${mostNameBytes} the agent could not be started again`,
      });
  }

  /** Records what came back at the start, without sending it again. */
  know(name: string): void {
    this.#note(name);
    const stored = parseStoredName(name);
    if (stored.kind === 'file' && stored.number !== null) this.#numbers.set(stored.session, stored.number);
  }

  /** The session with a number, once the name is known that gives it; null if it is not. */
  sessionWith(number: number): string | null {
    for (const [session, own] of this.#numbers) if (own === number) return session;
    return null;
  }

  keepSession(session: string, descriptor: FdLike): void {
    this.#keep(sessionEntry(session), descriptor);
  }

  keepFile(session: string, token: bigint, descriptor: FdLike): void {
    if (token === manifestToken && !this.#names.has(fileEntry(session, token))) this.#number(session);
    this.#keep(this.#fileEntry(session, token), descriptor);
  }

  dropSession(session: string): void {
    this.#drop(sessionEntry(session));
  }

  dropFile(session: string, token: bigint): void {
    this.#drop(this.#fileEntry(session, token));
  }

  /** Drops everything the store has of a session. What gives it its number goes last: an agent that died could not tell whose the others are. */
  dropAll(session: string): void {
    const number = this.#numbers.get(session);
    const prefix = `f-${hex(session)}-`;
    const numbered = number === undefined ? null : `f${number.toString(base)}-`;
    const last: string[] = [];
    for (const name of [...this.#names]) {
      if (name.startsWith(prefix)) last.push(name);
      else if (numbered !== null && name.startsWith(numbered)) this.#drop(name);
    }
    for (const name of last.reverse()) this.#drop(name);
    this.#numbers.delete(session);
    this.dropSession(session);
  }

  /**
   * Resolves once the manager has taken in everything sent so far; at once without a manager.
   *
   * @returns whether there is a manager
   * @throws Error if it does not answer in time
   */
  async settled(): Promise<boolean> {
    const { sockets, serviceManager } = this.#native;
    const [ours, theirs] = sockets.socketPair();
    try {
      const sent = serviceManager.notify('BARRIER=1', [theirs]);
      theirs.close();
      if (!sent) return false;
      const events = sockets.POLL_READABLE | sockets.POLL_DISCONNECT;
      const late = new Error(`the service manager did not answer within ${managerMs} ms`);
      const over = new AbortController();
      const timer = setTimeout(() => over.abort(late), managerMs);
      await whenReady(sockets, ours, events, over.signal).finally(() => clearTimeout(timer));
      return true;
    } finally {
      ours.close();
      theirs.close();
    }
  }

  /** Gives a session the lowest number that no other has. */
  #number(session: string): void {
    if (this.#numbers.has(session)) return;
    const taken = new Set(this.#numbers.values());
    let number = 0;
    while (taken.has(number)) number += 1;
    this.#numbers.set(session, number);
  }

  #fileEntry(session: string, token: bigint): string {
    const number = this.#numbers.get(session);
    const long = fileEntry(session, token);
    // An earlier agent has stored it under this name.
    if (number === undefined || this.#names.has(long)) return long;
    if (token === manifestToken) return `${long}-${number.toString(base)}`;
    return token > manifestToken ? long : `f${number.toString(base)}-${token.toString(base)}`;
  }

  #note(name: string): void {
    if (!this.#names.has(name)) this.#nameBytes += bytesOf(name);
    this.#names.add(name);
  }

  #keep(name: string, descriptor: FdLike): void {
    this.#note(name);
    this.#native.serviceManager.notify(`FDSTORE=1\nFDNAME=${name}\nFDPOLL=0`, [descriptor]);
  }

  #drop(name: string): void {
    if (!this.#names.delete(name)) return;
    this.#nameBytes -= bytesOf(name);
    this.#native.serviceManager.notify(`FDSTOREREMOVE=1\nFDNAME=${name}`);
  }
}
