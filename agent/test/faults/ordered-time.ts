// SPDX-License-Identifier: Apache-2.0
/**
 * Time that passes only when nothing else happens. A timer of the agent fires as soon as everybody waits for it, in the
 * order in which timers are due. So a limit of ten minutes costs a test nothing, and no test depends on how fast the
 * machine is.
 *
 * All who take part are in this process: the agent, its clients and the VMMs. Whatever one says to another arrives within
 * a few turns of the event loop. `working` tells of work on other threads.
 */
import { randomFill } from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import timersPromises from 'node:timers/promises';
import { promisify } from 'node:util';

interface Timer {
  readonly id: number;
  readonly dueMs: number;
  readonly everyMs: number | null;
  readonly fire: () => void;
}

/** Turns of the event loop in which nothing may happen before time passes. */
const quietTurns = 12;
/** Where a thread waits for the other end of a socket, it is given so long to hear of it, in ms of real time. */
const threadMs = 25;
/** And so long as it takes other threads to do so many things, one after the other: it has had a processor by then. */
const othersDo = 5;

/** What this does not know of is given so long before nothing more is thought to come, in ms of real time. */
const unknownMs = 100;

/** Requests of the event loop that are under way on other threads (`process.getActiveResourcesInfo`). */
const onThreads = /^FSReq|^FileHandleCloseReq|^DNS/;

export class OrderedTime implements Disposable {
  readonly #timers = new Map<number, Timer>();
  readonly #real = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    setInterval: globalThis.setInterval,
    clearInterval: globalThis.clearInterval,
    immediate: globalThis.setImmediate,
    abortTimeout: AbortSignal.timeout,
    delay: timersPromises.setTimeout,
  };
  /** Told before time passes, and how much of it, in ms. */
  passing: (ms: number) => void = () => {};
  #nowMs = 0;
  #nextId = 1;
  #activity = 0;
  #working = 0;
  #listening = 0;

  constructor() {
    const set = (fire: () => void, ms: number, everyMs: number | null): NodeJS.Timeout =>
      this.#set(fire, ms, everyMs);
    const clear = (timer?: unknown): void => void this.#timers.delete(Number(timer));
    Object.assign(globalThis, {
      setTimeout: (work: (...given: unknown[]) => void, ms = 0, ...given: unknown[]) =>
        set(() => work(...given), ms, null),
      setInterval: (work: (...given: unknown[]) => void, ms = 0, ...given: unknown[]) =>
        set(() => work(...given), ms, ms),
      clearTimeout: clear,
      clearInterval: clear,
    });
    AbortSignal.timeout = (ms) => {
      const over = new AbortController();
      const reason = new DOMException('The operation was aborted due to timeout', 'TimeoutError');
      set(() => over.abort(reason), ms, null);
      return over.signal;
    };
    timersPromises.setTimeout = <T>(
      ms = 0,
      value?: T,
      { signal }: { signal?: AbortSignal | undefined } = {},
    ) =>
      new Promise<T>((resolve, reject) => {
        const abort = (): void => {
          clear(timer);
          reject(signal?.reason);
        };
        const timer = set(
          () => {
            signal?.removeEventListener('abort', abort);
            resolve(value as T);
          },
          ms,
          null,
        );
        signal?.addEventListener('abort', abort);
        if (signal?.aborted) abort();
      });
    syncBuiltinESMExports();
  }

  [Symbol.dispose](): void {
    const { abortTimeout, delay, immediate: _, ...timers } = this.#real;
    Object.assign(globalThis, timers);
    AbortSignal.timeout = abortTimeout;
    timersPromises.setTimeout = delay;
    syncBuiltinESMExports();
    this.#timers.clear();
  }

  /** How much time has passed, in ms. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Something happened. */
  touch(): void {
    this.#activity += 1;
  }

  /** Forgets all timers: those to whom they belong are dead. */
  forget(): void {
    this.#timers.clear();
  }

  /**
   * Notes work on another thread: no time passes before it is done.
   *
   * @param waits whether it waits for the other end of a socket: then time passes once that has had its chance
   */
  working(work: Promise<unknown>, waits: boolean): void {
    const add = (more: 1 | -1): void => {
      if (waits) this.#listening += more;
      else this.#working += more;
      this.touch();
    };
    add(1);
    const done = (): void => add(-1);
    work.then(done, done);
  }

  /**
   * Lets time pass until work is done.
   *
   * @param limitMs how much of it, in ms of this time
   * @returns whether it is done; false also if nothing will ever happen any more
   * @throws what it throws
   */
  async during(work: Promise<unknown>, limitMs: number): Promise<boolean> {
    const endMs = this.#nowMs + limitMs;
    let isDone = false;
    let hasWaited = false;
    const done = (): void => {
      isDone = true;
      this.touch();
    };
    work.then(done, done);
    for (;;) {
      await this.#quiet(() => isDone);
      if (isDone) break;
      if (this.#step(endMs)) continue;
      // Nobody waits for anything any more, as far as is known here.
      if (hasWaited) {
        this.#goTo(endMs);
        return false;
      }
      hasWaited = true;
      await this.#pause(unknownMs);
    }
    await work;
    return true;
  }

  /** Lets so much time pass, in ms. */
  async pass(ms: number): Promise<void> {
    await this.during(new Promise(() => {}), ms);
  }

  #set(fire: () => void, ms: number, everyMs: number | null): NodeJS.Timeout {
    const id = this.#nextId++;
    const dueMs = this.#nowMs + Math.max(1, ms);
    this.#timers.set(id, { id, dueMs, everyMs, fire });
    this.touch();
    const handle = {
      ref: () => handle,
      unref: () => handle,
      hasRef: () => true,
      refresh: () => handle,
      close: () => {
        this.#timers.delete(id);
        return handle;
      },
      [Symbol.toPrimitive]: () => id,
      [Symbol.dispose]: () => void this.#timers.delete(id),
    };
    return handle as unknown as NodeJS.Timeout;
  }

  /** Fires the timer that is due next. @returns false if none is before `endMs` */
  #step(endMs: number): boolean {
    let next: Timer | null = null;
    for (const timer of this.#timers.values())
      if (next === null || timer.dueMs < next.dueMs || (timer.dueMs === next.dueMs && timer.id < next.id))
        next = timer;
    if (next === null || next.dueMs > endMs) return false;
    this.#goTo(next.dueMs);
    const { everyMs, id } = next;
    if (everyMs === null) this.#timers.delete(id);
    else this.#timers.set(id, { ...next, dueMs: this.#nowMs + Math.max(1, everyMs) });
    next.fire();
    return true;
  }

  #goTo(ms: number): void {
    if (ms <= this.#nowMs) return;
    this.passing(ms - this.#nowMs);
    this.#nowMs = ms;
  }

  /** Resolves once nothing has happened for a while, or `isDone`. */
  async #quiet(isDone: () => boolean): Promise<void> {
    let turns = 0;
    let seen = this.#activity;
    let hasListened = false;
    while (turns < quietTurns && !isDone()) {
      await new Promise<void>((resolve) => void this.#real.immediate(resolve));
      if (seen === this.#activity && this.#working === 0 && !isOnThreads()) turns += 1;
      else {
        turns = 0;
        hasListened = false;
        // A thread needs a processor.
        if (this.#working > 0 || isOnThreads()) await this.#pause(1);
      }
      seen = this.#activity;
      if (turns < quietTurns || this.#listening === 0 || hasListened) continue;
      hasListened = true;
      turns = 0;
      await this.#pause(threadMs);
      for (let done = 0; done < othersDo; done += 1) await onAnotherThread(Buffer.alloc(1));
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#real.setTimeout(resolve, ms));
  }
}

const onAnotherThread = promisify(randomFill<Buffer>);

const isOnThreads = (): boolean => process.getActiveResourcesInfo().some((name) => onThreads.test(name));
