// SPDX-License-Identifier: Apache-2.0
/**
 * Preserving what is asked for, many at a time. The kernel needs the least of the time. More goes to the journal, which
 * has to reach the disk, to the manifest, and to the service manager, which has to answer. All that wait for a turn in one
 * session share these. What one caller asked for together is one act in the journal (`preserve-acts.ts`).
 */
import type { Descriptor as NativeDescriptor } from '@luo-console/native';
import { inTime } from '../host/in-time.ts';
import { Refusal } from '../host/refusal.ts';
import type { Descriptor } from '../interface/agent.generated.ts';
import type { HeldSession } from './held-session.ts';
import type { Actor, LiveUpdateContext } from './live-update-context.ts';
import { describeFile, type FileDescription, type KnownFileSystems } from './preservable.ts';
import { preserveInto } from './preserve.ts';
import { announcePreserves, type PreserveActs } from './preserve-acts.ts';
import type { Preserving } from './preserve-row.ts';
import {
  type FileIdentity,
  hasOwnInode,
  newEntry,
  nextFreeToken,
  type PreservedIndex,
  type PreserveRequest,
  placeKey,
} from './session-entries.ts';
import { formatToken } from './tokens.ts';

/** A new part of a manifest has room for at least so many entries. */
const fewestInPart = 16;

/** At most so many are dealt with at once: as many as one message can carry. */
const mostTogether = 253;

export interface PreserveQueueOptions {
  readonly context: LiveUpdateContext;
  /** Where files are preserved already. */
  readonly preserved: PreservedIndex;
  /** Builds a session that is not built. @throws Refusal */
  carryOn(session: HeldSession, actor: Actor): Promise<void>;
  /** Told when something was preserved. */
  changed(): void;
}

interface Asked {
  readonly file: NativeDescriptor;
  readonly request: PreserveRequest;
  readonly actor: Actor;
  readonly done: PromiseWithResolvers<Descriptor>;
}

/** One that is about to be preserved. */
interface Begun extends Preserving {
  readonly asked: Asked;
  readonly actor: Actor;
  /** What tells its file from others; null if nothing does. */
  readonly facts: FileIdentity | null;
}

/** What is preserved together. */
interface Turn {
  readonly begun: Begun[];
  readonly tokens: Set<bigint>;
  /** What tells their files from others, where something does. */
  readonly keys: Set<string>;
}

export class PreserveQueue {
  readonly #options: PreserveQueueOptions;
  readonly #waiting = new Map<HeldSession, Asked[]>();

  constructor(options: PreserveQueueOptions) {
    this.#options = options;
  }

  /**
   * Preserves a file. The store takes its own copy of the descriptor; the caller keeps `file`.
   *
   * @throws Refusal SessionNotFound, WrongDirection, TokenInUse, AlreadyPreserved, NotPreservable, InvalidValue
   */
  async preserve(
    session: HeldSession,
    file: NativeDescriptor,
    request: PreserveRequest,
    actor: Actor,
  ): Promise<Descriptor> {
    const asked = { file, request, actor, done: Promise.withResolvers<Descriptor>() };
    this.#enqueue(session, asked);
    return await asked.done.promise;
  }

  #enqueue(session: HeldSession, asked: Asked): void {
    const waiting = this.#waiting.get(session);
    if (waiting) {
      waiting.push(asked);
      return;
    }
    this.#waiting.set(session, [asked]);
    void session.serial.run(() => this.#takeTurn(session));
  }

  /** Deals with all that wait, in one turn of the session's: what comes after it must find nothing half done. */
  async #takeTurn(session: HeldSession): Promise<void> {
    let left = this.#waiting.get(session) ?? [];
    this.#waiting.delete(session);
    while (left.length > 0) {
      const some = left.slice(0, mostTogether);
      left = [...(await this.#dealWith(session, some)), ...left.slice(mostTogether)];
    }
  }

  /** @returns those that depend on what became of others */
  async #dealWith(session: HeldSession, some: readonly Asked[]): Promise<Asked[]> {
    const later: Asked[] = [];
    const turn: Turn = { begun: [], tokens: new Set(), keys: new Set() };
    try {
      const [first] = some;
      if (session.unbuilt && first) await this.#options.carryOn(session, first.actor);
      const fileSystems: KnownFileSystems = new Map();
      const described = await Promise.allSettled(some.map(({ file }) => describeInTime(file, fileSystems)));
      for (const [index, asked] of some.entries()) {
        const facts = described[index];
        if (facts?.status !== 'fulfilled') asked.done.reject(facts?.reason);
        else if (!this.#begin(session, asked, facts.value, turn)) later.push(asked);
      }
      if (turn.begun.length > 0) await this.#preserve(session, turn.begun);
    } catch (error) {
      // Those that were refused or preserved have been told so.
      for (const asked of some) if (!later.includes(asked)) asked.done.reject(error);
    }
    return later;
  }

  /**
   * Decides about one: it is begun, or it is refused and told so.
   *
   * @returns false if it depends on what becomes of another one of this turn
   */
  #begin(session: HeldSession, asked: Asked, described: FileDescription, turn: Turn): boolean {
    const { begun, tokens, keys } = turn;
    const { context, preserved } = this.#options;
    const { native, nowUs, store } = context;
    const { file, request, actor } = asked;
    const { name } = session;
    const isTaken = (token: bigint): boolean => session.manifest?.get(token) !== undefined;
    try {
      session.need('outgoing');
      const token =
        request.token ?? nextFreeToken(session, begun.length, (each) => isTaken(each) || tokens.has(each));
      if (isTaken(token)) throw new Refusal('TokenInUse', { session: name, token: formatToken(token) });
      if (tokens.has(token)) return false;
      const facts = hasOwnInode(described.name) ? native.memory.fileFacts(file) : null;
      const key = facts === null ? null : placeKey(facts);
      const already = facts === null ? null : preserved.of(facts);
      if (already) throw new Refusal('AlreadyPreserved', already);
      if (key !== null && keys.has(key)) return false;
      // The files, and parts of the manifest if the others are full.
      store.needRoom(begun.length + 2 + Math.ceil(begun.length / fewestInPart));
      const order = (session.manifest?.nextOrder ?? 0) + begun.length;
      const entry = newEntry(token, order, request, described, nowUs());
      begun.push({ asked, actor, token, entry, facts, file: native.descriptors.duplicate(file) });
      tokens.add(token);
      if (key !== null) keys.add(key);
    } catch (error) {
      asked.done.reject(error);
    }
    return true;
  }

  /** Preserves them, and tells each what became of it. @throws JournalUnwritable */
  async #preserve(session: HeldSession, begun: readonly Begun[]): Promise<void> {
    const { context, preserved, changed } = this.#options;
    const { journal, store, native } = context;
    const clock = (): number => Number(native.kernel.clock('monotonic') / 1000n);
    let acts: PreserveActs;
    try {
      acts = announcePreserves(journal, session.name, begun);
    } catch (error) {
      for (const { file } of begun) file.close();
      throw error;
    }
    const startedUs = clock();
    let refusals: readonly unknown[];
    try {
      refusals = await preserveInto(context, session, begun);
      await store.settled();
    } catch (error) {
      refusals = begun.map(() => error);
    }
    for (const { file, token, facts } of begun) {
      if (session.files.get(token) !== file) file.close();
      else if (facts !== null) preserved.enter(facts, { session: session.name, token: formatToken(token) });
    }
    acts.settle(refusals, clock() - startedUs);
    changed();
    for (const [index, { asked, token }] of begun.entries()) {
      const refusal = refusals[index] ?? null;
      if (refusal === null) asked.done.resolve(session.describe(token));
      else asked.done.reject(refusal);
    }
  }
}

/** How long a file system has to say what a file is, in ms. Others wait for their turn meanwhile. */
const describeMs = 5000;

/** @throws Refusal NotPreservable if its file system does not answer; SystemError */
const describeInTime = ({ fd }: NativeDescriptor, known: KnownFileSystems): Promise<FileDescription> =>
  inTime(describeFile(`/proc/self/fd/${fd}`, known), describeMs, () => {
    const reason = `its file system did not say what it is within ${describeMs} ms`;
    return new Refusal('NotPreservable', { kind: 'other', reason, errno: 'ETIMEDOUT' });
  });
