// SPDX-License-Identifier: Apache-2.0
/**
 * The service manager's descriptor store. Closing a session undoes it, so an agent that dies must not be its only
 * holder. Every session descriptor and every preserved file is also handed to systemd (`FDSTORE=1`, sd_notify(3)), many
 * files of one call in one descriptor (`descriptor-box.ts`). They come back in `LISTEN_FDS` when the agent is started
 * again, under the names of `stored-names.ts`.
 *
 * A notification is a message nobody answers. `settled` sends a barrier after it: a descriptor whose other end
 * is closed by the manager once it has dealt with everything before it.
 */
import type { Descriptor, FdLike, Native } from '@luo-console/native';
import { Refusal } from '../host/refusal.ts';
import { whenReady } from '../host/waiting.ts';
import { type Boxed, fewestInBox, lookIntoBox, mostInBox, packBox } from './descriptor-box.ts';
import { base, fileEntry, hex, parseStoredName, sessionEntry } from './stored-names.ts';
import { manifestToken } from './tokens.ts';

/** Bytes of all names with what is between them. Less than the kernel takes: names of manifests and sockets are longer. */
const mostNameBytes = 96 * 1024;
/** The longest name of a file in a session that has a number, in bytes. */
const longestNumbered = 24;
/** How long the manager may take, in ms. It answers nobody while it reads its units again. */
const managerMs = 30_000;
const bytesOf = (name: string): number => name.length + 1;

/**
 * A session's descriptor that another process had, as one that was made here. It is closed at once then: the kernel lets
 * go what is in the session, and that has to be over before a file is preserved again or the name is used again.
 */
export const asOwnSession = ({ descriptors }: Native, session: Descriptor): Descriptor =>
  descriptors.takeOwnership(session.release());

/** A box that the store has. */
interface Box {
  readonly descriptor: Descriptor;
  readonly session: string;
  /** Of the files that are looked for there. Others in it were dropped, or a later box has them. */
  readonly tokens: Set<bigint>;
  /** Whether it could not be looked into. It goes only with its session: what is in it may be nowhere else. */
  readonly isUnopened: boolean;
}

export class DescriptorStore {
  readonly #native: Pick<Native, 'serviceManager' | 'sockets'>;
  readonly #names = new Set<string>();
  #nameBytes = 0;
  /** The short numbers of sessions. */
  readonly #numbers = new Map<string, number>();
  readonly #boxes = new Map<string, Box>();
  #nextBox = 0;
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
    if (stored.kind === 'box') this.#nextBox = Math.max(this.#nextBox, stored.place + 1);
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

  /** Keeps files of a session whose manifest is kept. Many of them take few places. @throws SystemError */
  keepFiles(session: string, files: readonly Boxed[]): void {
    const number = this.#numbers.get(session);
    if (number === undefined || files.length < fewestInBox) {
      for (const { token, file } of files) this.keepFile(session, token, file);
      return;
    }
    for (let first = 0; first < files.length; first += mostInBox)
      this.#keepBox(session, number, files.slice(first, first + mostInBox));
  }

  /**
   * Takes ownership of a box that came back at the start.
   *
   * @param tokens of the files that are looked for there; a box without any is dropped. Null if it could not be looked
   *   into: it is kept as it is.
   */
  holdBox(name: string, session: string, descriptor: Descriptor, tokens: Iterable<bigint> | null): void {
    const box = { descriptor, session, tokens: new Set(tokens), isUnopened: tokens === null };
    this.#boxes.set(name, box);
    this.#dropIfEmpty(name, box);
  }

  /** Boxes of a session that could not be looked into, with their names. They stay the store's. */
  unopened(session: string): [string, Descriptor][] {
    return this.#boxesOf(session)
      .filter(([, { isUnopened }]) => isUnopened)
      .map(([name, { descriptor }]) => [name, descriptor]);
  }

  dropSession(session: string): void {
    this.#drop(sessionEntry(session));
  }

  dropFile(session: string, token: bigint): void {
    this.dropFiles(session, [token]);
  }

  /** Drops files of a session. A box that has others too is made again without them. */
  dropFiles(session: string, tokens: readonly bigint[]): void {
    for (const token of tokens) this.#drop(this.#fileEntry(session, token));
    for (const [name, box] of this.#boxesOf(session)) {
      const without = tokens.filter((token) => box.tokens.delete(token));
      if (without.length === 0) continue;
      if (box.tokens.size === 0) this.#dropBox(name, box);
      else this.#makeAgain(box);
    }
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
    for (const [name, box] of this.#boxesOf(session)) this.#dropBox(name, box);
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

  #boxesOf(session: string): [string, Box][] {
    return [...this.#boxes].filter(([, box]) => box.session === session);
  }

  /** A file that an older box has too is looked for here; a box that has no other is dropped. */
  #keepBox(session: string, number: number, files: readonly Boxed[]): void {
    const descriptor = packBox(this.#native.sockets, files);
    const tokens = new Set(files.map(({ token }) => token));
    const name = `b${number.toString(base)}-${this.#nextBox.toString(base)}`;
    this.#nextBox += 1;
    this.#keep(name, descriptor);
    for (const [older, box] of this.#boxesOf(session)) {
      for (const token of tokens) box.tokens.delete(token);
      this.#dropIfEmpty(older, box);
    }
    this.#boxes.set(name, { descriptor, session, tokens, isUnopened: false });
  }

  /** What is kept too long after a failure goes with the session: nothing can be lost by it. */
  #makeAgain(box: Box): void {
    const number = this.#numbers.get(box.session);
    if (number === undefined) return;
    try {
      using held = new DisposableStack();
      const files = lookIntoBox(this.#native.sockets, box.descriptor);
      for (const { file } of files) held.use(file);
      this.#keepBox(
        box.session,
        number,
        files.filter(({ token }) => box.tokens.has(token)),
      );
    } catch {
      // Too many open files, for example.
    }
  }

  #dropIfEmpty(name: string, box: Box): void {
    if (box.tokens.size === 0 && !box.isUnopened) this.#dropBox(name, box);
  }

  #dropBox(name: string, box: Box): void {
    this.#boxes.delete(name);
    this.#drop(name);
    box.descriptor.close();
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
