// SPDX-License-Identifier: Apache-2.0
/**
 * The sessions that the agent holds, and everything that can be done with one. Each change is an act in the
 * journal. Changes to one session happen one after another; different sessions do not wait for each other.
 */
import { EventEmitter } from 'node:events';
import type { Descriptor as NativeDescriptor } from '@luo-console/native';
import { Refusal } from '../host/refusal.ts';
import { Serial } from '../host/serial.ts';
import type { Descriptor, Session } from '../interface/agent.generated.ts';
import { needFilesOfBoxes } from './boxed-files.ts';
import { describeContents, finishInto, makeSession, takeApart } from './build-session.ts';
import { type Digest, type Digesting, digestOf } from './digest.ts';
import type { HeldSession } from './held-session.ts';
import type { Actor, LiveUpdateContext } from './live-update-context.ts';
import type { MachineHead } from './machine-head.ts';
import { PreserveQueue } from './preserve-queue.ts';
import { type Retrieved, takeIn } from './retrieve-session.ts';
import { SessionBuilder } from './session-builder.ts';
import { describeRetrieved, type Place, PreservedIndex, type PreserveRequest } from './session-entries.ts';
import { checkSessionName, formatToken } from './tokens.ts';

export class SessionStore {
  /** Emits `changed` after anything about the sessions has. */
  readonly events = new EventEmitter().setMaxListeners(0);
  readonly #context: LiveUpdateContext;
  readonly #builder: SessionBuilder;
  readonly #sessions = new Map<string, HeldSession>();
  readonly #naming = new Serial();
  readonly #preserved: PreservedIndex;
  readonly #queue: PreserveQueue;

  constructor(context: LiveUpdateContext) {
    this.#context = context;
    this.#builder = new SessionBuilder(context, () => this.#changed());
    this.#preserved = new PreservedIndex(() => this.#sessions.values(), context.native.memory);
    this.#queue = new PreserveQueue({
      ...{ context, preserved: this.#preserved },
      carryOn: async (session, actor) => {
        await this.#builder.carryOn(session, actor);
      },
      changed: () => this.touched(),
    });
  }

  /** All sessions by name, without the agent's own, which is never entered here. */
  list(): HeldSession[] {
    return [...this.#sessions.values()].sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  /** @throws Refusal SessionNotFound */
  get(name: string): HeldSession {
    const session = this.#sessions.get(name);
    if (!session) throw new Refusal('SessionNotFound', { name });
    return session;
  }

  has(name: string): boolean {
    return this.#sessions.has(name);
  }

  /** Resolves once nothing that was asked for before is still being done to any session. */
  async quiet(): Promise<void> {
    await this.#naming.run(() => {});
    await Promise.all(this.list().map(({ serial }) => serial.run(() => {})));
  }

  /** Enters a session that was found or retrieved. */
  enter(session: HeldSession): void {
    this.#sessions.set(session.name, session);
    this.#changed();
  }

  /** Where a file is preserved already, by file system and inode, or null. */
  whereIs(facts: { dev: bigint; ino: bigint }): Place | null {
    return this.#preserved.of(facts);
  }

  /**
   * Creates an outgoing session.
   *
   * @param machine whose session it is; null for one that people make
   * @throws Refusal InvalidValue, SessionExists, NoLiveUpdate, DeviceBusy
   */
  async create(name: string, actor: Actor, machine: MachineHead | null = null): Promise<Session> {
    checkSessionName(name);
    return await this.#naming.run(async () => {
      if (this.#sessions.has(name)) throw new Refusal('SessionExists', { name });
      // Itself and its manifest.
      this.#context.store.needRoom(2);
      const fields = { session: name, peer: actor.peer };
      return await this.#context.journal.act('session.create', fields, async () => {
        this.enter(await makeSession(this.#context, name, actor.name, machine));
        return this.get(name).toSession();
      });
    });
  }

  /**
   * Preserves a file. The store takes its own copy of the descriptor; the caller keeps `file`.
   *
   * @throws Refusal SessionNotFound, WrongDirection, TokenInUse, AlreadyPreserved, NotPreservable, InvalidValue
   */
  async preserve(
    name: string,
    file: NativeDescriptor,
    request: PreserveRequest,
    actor: Actor,
  ): Promise<Descriptor> {
    return await this.#queue.preserve(this.get(name), file, request, actor);
  }

  /**
   * Takes one descriptor out. No kernel so far has a request for that, so the session is built anew without it.
   *
   * @throws Refusal SessionNotFound, TokenNotFound, WrongDirection, DeviceBusy, KernelCallFailed
   */
  async remove(name: string, token: bigint, actor: Actor): Promise<Session> {
    const session = this.get(name);
    const { journal, store } = this.#context;
    return await session.serial.run(async () => {
      session.need('outgoing');
      if (session.handedOut) {
        const expected = 'a session that was not handed out: what its holder preserved in it would be lost';
        throw new Refusal('InvalidValue', { parameter: 'session', value: name, expected });
      }
      await needFilesOfBoxes(this.#context, session);
      const file = session.file(token);
      const parameters = { token: formatToken(token) };
      return await journal.act(
        'session.remove',
        { session: name, peer: actor.peer, parameters },
        async () => {
          // Nothing is taken apart before the device is known to be free to put it together again.
          await this.#context.device.use(() => {});
          session.manifest?.updateHead({ state: 'rebuilding' });
          session.manifest?.remove([token]);
          session.files.delete(token);
          store.dropFile(name, token);
          file.close();
          await takeApart(this.#context, session);
          await this.#builder.build(session);
          return session.toSession();
        },
        () => ({ parameters, message: 'the session was built again without it' }),
      );
    });
  }

  /** Retrieves an incoming session with everything in it. @throws Refusal SessionNotFound, SessionExists */
  async retrieve(name: string, actor: Actor): Promise<Retrieved> {
    return await this.#naming.run(async () => {
      if (this.#sessions.has(name)) throw new Refusal('SessionExists', { name });
      return await this.#context.journal.giveBack(
        'session.retrieve',
        { session: name, peer: actor.peer },
        async () => await this.#enterRetrieved(name, await this.#context.device.retrieveSession(name)),
        describeRetrieved,
      );
    });
  }

  /** Takes in an incoming session whose descriptor somebody else retrieved for the agent. */
  async takeBack(name: string, descriptor: NativeDescriptor): Promise<Retrieved> {
    return await this.#context.journal.giveBack(
      'session.take-back',
      { session: name },
      () => this.#enterRetrieved(name, descriptor),
      describeRetrieved,
    );
  }

  async #enterRetrieved(name: string, descriptor: NativeDescriptor): Promise<Retrieved> {
    const retrieved = await takeIn(this.#context, name, descriptor);
    this.enter(retrieved.session);
    return retrieved;
  }

  /**
   * Finishes an incoming session and carries on: an outgoing one of the same name, with the same tokens and
   * files, protects the memory for the next live update.
   *
   * @throws Refusal SessionNotFound, WrongDirection, KernelCallFailed (`EBUSY`: may be tried again)
   */
  async finish(name: string, actor: Actor): Promise<Session> {
    const session = this.get(name);
    return await session.serial.run(async () => {
      session.need('incoming');
      // One that was finished and could not be built anew then is still called incoming.
      if (!session.unbuilt) {
        const fields = { session: name, peer: actor.peer };
        await this.#context.journal.act('session.finish', fields, () => finishInto(this.#context, session));
      }
      if (session.manifest === null) {
        this.#forget(session);
        return session.toSession();
      }
      return await this.#builder.carryOn(session, actor);
    });
  }

  /** Looks again later into boxes of a session that could not be looked into, until its files are all there. */
  openBoxesLater(session: HeldSession): void {
    this.#builder.openBoxesLater(session);
  }

  /** Builds the kernel's session for one that is held without: after a finish, or after a crash on the way. */
  async rebuild(name: string, actor: Actor): Promise<Session> {
    const session = this.get(name);
    return await session.serial.run(() => this.#builder.carryOn(session, actor));
  }

  /**
   * Gives somebody the session's own descriptor. What they preserve through it no manifest names, so that is kept
   * in mind (`handedOut`).
   *
   * @param give is handed the descriptor, which stays the session's.
   * @throws Refusal SessionNotFound
   */
  async handOut<T>(name: string, actor: Actor, give: (descriptor: NativeDescriptor) => T): Promise<T> {
    const session = this.get(name);
    return await session.serial.run(async () => {
      if (session.unbuilt) await this.#builder.carryOn(session, actor);
      return await this.#context.journal.act('session.fetch', { session: name, peer: actor.peer }, () => {
        const given = give(session.open);
        if (session.direction === 'outgoing') session.manifest?.updateHead({ handedOut: true });
        return given;
      });
    });
  }

  /** Closes a session: outgoing, everything in it is unpreserved; incoming, what was not retrieved is freed. */
  async close(name: string, actor: Actor): Promise<void> {
    const session = this.get(name);
    const { journal, native, store } = this.#context;
    await session.serial.run(async () => {
      if (session.gone) throw new Refusal('SessionNotFound', { name });
      const parameters = describeContents(session);
      await journal.giveBack('session.close', { session: name, peer: actor.peer, parameters }, async () => {
        session.manifest?.updateHead({ state: 'closing' });
        store.dropAll(name);
        await store.settled();
        // Nobody else has it by now, so the kernel lets go of every page of its memory.
        if (session.descriptor) await native.descriptors.closeAside(session.descriptor);
        this.#forget(session);
      });
    });
  }

  /** The SHA-256 of a file's contents, and when reading it began. @throws Refusal; the signal's reason */
  async digest(
    name: string,
    token: bigint,
    following: Pick<Digesting, 'onProgress' | 'signal'> = {},
  ): Promise<Digest> {
    const session = this.get(name);
    const place = `${formatToken(token)} in session ${name}`;
    return await digestOf(this.#context, { file: session.file(token), name: place, ...following });
  }

  /** Tells whoever shows sessions that something about one has changed. */
  touched(): void {
    this.events.emit('changed');
  }

  #forget(session: HeldSession): void {
    this.#sessions.delete(session.name);
    this.#context.store.dropAll(session.name);
    session.release();
    this.#changed();
  }

  #changed(): void {
    this.#preserved.forget();
    this.touched();
  }
}
