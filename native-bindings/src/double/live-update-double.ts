// SPDX-License-Identifier: Apache-2.0
/**
 * An in-memory `/dev/liveupdate`, for tests on machines without one.
 *
 * It keeps real descriptors: preserved memfds are the caller's own files, sessions and the device are socket
 * ends. That a descriptor was closed is noticed at the next call, so a release and what it frees are in order for
 * every caller. `kexec()` stands for the kexec: outgoing sessions become incoming, everything else is gone.
 *
 * It answers as Linux 7.3 does; the contract suite checks both. There is one exception: the size of a preserved file
 * can still change, because only a kernel can prevent that.
 */
import { fdOf, fdsOf, mostFiles, textOf, tokenOf, tokensOf } from '../arguments.ts';
import type { Descriptor, FdLike, LiveUpdate } from '../face.ts';
import { type Call, type FailureCode, failure } from './failure.ts';
import { Handle, identityOf } from './handle.ts';
import { hasHandler, KeptFile, sealsAreKnown } from './kept-file.ts';
import { type Observe, Session } from './session.ts';

/** Longest session name in bytes: 64 with the terminator (`LIVEUPDATE_SESSION_NAME_LENGTH`). */
const longestName = 63;

const devicePath = '/dev/liveupdate';

export interface DoubleOptions {
  /** Where the device is; opening any other path gives `ENOENT`. */
  readonly path?: string;
  /** Told of every act, in order. */
  readonly observe?: Observe;
}

export class LiveUpdateDouble implements LiveUpdate, Disposable {
  readonly #path: string;
  readonly #observe: Observe;
  #device: Handle | null = null;
  #outgoing = new Map<string, Session>();
  #incoming = new Map<string, Session>();

  /** What every `openDevice` answers: `'ENOENT'` as if there were no device, `'EIO'` as after a broken handover. */
  openFailure: FailureCode | null = null;

  constructor(options: DoubleOptions = {}) {
    this.#path = options.path ?? devicePath;
    this.#observe = options.observe ?? (() => {});
  }

  openDevice(path = devicePath): Descriptor {
    const argument = `path=${JSON.stringify(textOf(path, 'path'))}`;
    this.#noticeClosed();
    if (path !== this.#path) throw failure('ENOENT', 'open', argument);
    if (this.#device !== null) throw failure('EBUSY', 'open', argument);
    if (this.openFailure !== null) throw failure(this.openFailure, 'open', argument);
    this.#device = new Handle();
    return this.#device.take('openDevice');
  }

  createSession(device: FdLike, name: string): Descriptor {
    const argument = `name=${JSON.stringify(textOf(name, 'name'))}`;
    this.#requireDevice(device, 'createSession');
    const bytes = Buffer.byteLength(name);
    if (bytes === 0 || bytes > longestName) throw failure('EINVAL', 'createSession', argument);
    if (this.#outgoing.has(name)) throw failure('EEXIST', 'createSession', argument);
    const session = Session.create(name, this.#observe);
    this.#outgoing.set(name, session);
    return takeFrom(session, `createSession(${JSON.stringify(name)})`);
  }

  async retrieveSession(device: FdLike, name: string): Promise<Descriptor> {
    const argument = `name=${JSON.stringify(textOf(name, 'name'))}`;
    this.#requireDevice(device, 'retrieveSession');
    const session = this.#incoming.get(name);
    if (session === undefined) throw failure('ENOENT', 'retrieveSession', argument);
    if (session.handle !== null) throw failure('EINVAL', 'retrieveSession', argument);
    session.handle = new Handle();
    return takeFrom(session, `retrieveSession(${JSON.stringify(name)})`);
  }

  async preserveFd(sessionFd: FdLike, file: FdLike, token: bigint): Promise<void> {
    const number = fdOf(file, 'file');
    tokenOf(token);
    const session = this.#sessionOf(sessionFd, 'preserveFd');
    const identity = this.#identity(file, 'file', 'preserveFd');
    requireDirection(session, 'outgoing', 'preserveFd', sessionFd);
    const refuse = (code: FailureCode) => failure(code, 'preserveFd', `file=${number}`);
    // The kernel looks at the token first, then for a handler, then whether the file is held already.
    if (session.files.has(token)) throw failure('EEXIST', 'preserveFd', `token=${token}`);
    if (!hasHandler(file)) throw refuse('ENOENT');
    if (this.#isHeld(identity)) throw refuse('EBUSY');
    if (!sealsAreKnown(file)) throw refuse('EOPNOTSUPP');
    session.files.set(token, KeptFile.preserve(file));
    this.#observe({ act: 'preserve', session: session.name, token });
  }

  async retrieveFd(sessionFd: FdLike, token: bigint): Promise<Descriptor> {
    tokenOf(token);
    const session = this.#sessionOf(sessionFd, 'retrieveFd');
    requireDirection(session, 'incoming', 'retrieveFd', sessionFd);
    const kept = session.files.get(token);
    if (kept === undefined) throw failure('ENOENT', 'retrieveFd', `token=${token}`);
    this.#observe({ act: 'retrieve', session: session.name, token });
    return kept.retrieve();
  }

  async preserveFds(session: FdLike, files: readonly FdLike[], tokens: readonly bigint[]): Promise<void> {
    fdsOf(files, 'files', mostFiles);
    const wanted = tokensOf(tokens, files.length);
    this.#sessionOf(session, 'preserveFd');
    for (const file of files) this.#identity(file, 'file', 'preserveFd');
    for (const [place, file] of files.entries())
      await this.preserveFd(session, file, wanted[place] ?? 0n).catch((error: unknown) => {
        throw error instanceof Error ? Object.assign(error, { place }) : error;
      });
  }

  async retrieveFds(session: FdLike, tokens: readonly bigint[]): Promise<readonly Descriptor[]> {
    const retrieved: Descriptor[] = [];
    try {
      for (const token of tokensOf(tokens)) retrieved.push(await this.retrieveFd(session, token));
    } catch (error) {
      for (const file of retrieved) file.close();
      throw error;
    }
    return retrieved;
  }

  async finish(sessionFd: FdLike): Promise<void> {
    const session = this.#sessionOf(sessionFd, 'finish');
    requireDirection(session, 'incoming', 'finish', sessionFd);
    session.letGo();
  }

  sessionName(sessionFd: FdLike): string {
    return this.#sessionOf(sessionFd, 'sessionName').name;
  }

  /**
   * The kexec: outgoing sessions that are still open become incoming ones of the next kernel. Descriptors the
   * old kernel gave out stand for nothing from here on; incoming sessions of the last update are lost.
   */
  kexec(): void {
    this.#noticeClosed();
    this.#device?.close();
    this.#device = null;
    for (const session of this.#incoming.values()) session.discard();
    this.#incoming = new Map([...this.#outgoing].map(([name, session]) => [name, session.handOver()]));
    this.#outgoing = new Map();
  }

  /** Frees everything, as a machine does that is switched off. */
  [Symbol.dispose](): void {
    this.kexec();
    this.kexec();
  }

  /** Ends what nobody holds a descriptor of any more. */
  #noticeClosed(): void {
    if (this.#device?.abandoned) {
      this.#device.close();
      this.#device = null;
    }
    for (const sessions of [this.#outgoing, this.#incoming]) {
      for (const [name, session] of sessions) {
        if (!session.handle?.abandoned) continue;
        sessions.delete(name);
        session.letGo();
        session.handle.close();
      }
    }
  }

  #requireDevice(device: FdLike, call: Call): void {
    this.#noticeClosed();
    if (this.#identity(device, 'device', call) !== this.#device?.identity) {
      throw failure('ENOTTY', call, `device=${fdOf(device, 'device')}`);
    }
  }

  #sessionOf(sessionFd: FdLike, call: Call): Session {
    this.#noticeClosed();
    const identity = this.#identity(sessionFd, 'session', call);
    for (const sessions of [this.#outgoing, this.#incoming]) {
      for (const session of sessions.values()) {
        if (session.handle?.identity === identity) return session;
      }
    }
    throw failure('ENOTTY', call, `session=${fdOf(sessionFd, 'session')}`);
  }

  #identity(file: FdLike, name: string, call: Call): string {
    const number = fdOf(file, name);
    try {
      return identityOf(file);
    } catch {
      throw failure('EBADF', call, `${name}=${number}`);
    }
  }

  #isHeld(identity: string): boolean {
    for (const sessions of [this.#outgoing, this.#incoming]) {
      for (const session of sessions.values()) if (session.holds(identity)) return true;
    }
    return false;
  }
}

function takeFrom(session: Session, origin: string): Descriptor {
  if (session.handle === null) throw new Error(`session ${session.name} has no descriptor to give`);
  return session.handle.take(origin);
}

/** Wrong direction is `EINVAL`, and the session is what is wrong. */
function requireDirection(session: Session, direction: Session['direction'], call: Call, fd: FdLike): void {
  if (session.direction !== direction) throw failure('EINVAL', call, `session=${fdOf(fd, 'session')}`);
}
