// SPDX-License-Identifier: Apache-2.0
/** Watching the carrier: until it has the sessions, until it is through with a machine, and until it has come to its end. */
import { EventEmitter, once } from 'node:events';
import { type FSWatcher, watch } from 'node:fs';
import type { Native } from '@luo-console/native';
import type { KnownProcess } from '../../../host/known-process.ts';
import type { Log } from '../../../host/log.ts';
import { errnoOf } from '../../../host/refusal.ts';
import { saidBy } from '../../../host/said-by.ts';
import { whenReady } from '../../../host/waiting.ts';
import { type CarrierStatus, readStatus } from './carrier-status.ts';

/** How it ended: all is done, the keeper has ended, or nothing has changed for too long. */
export type CarrierEnd = 'over' | 'keeper ended' | 'quiet';

export interface CarrierPlace {
  readonly native: Native;
  readonly log: Log;
  readonly directory: string;
  /** Null if it has ended already. */
  readonly keeper: KnownProcess | null;
  /** How long nothing may change in status and log, in ms. */
  readonly quietMs: number;
  /** The same before it has the program: it waits for nothing then, and no machine is lost with it. */
  readonly retrievingMs: number;
}

/** How often people are told what the machines wait for, in ms. Reading the log takes time from the machines. */
const tellEveryMs = 1000;

const isLast = (status: CarrierStatus | null): boolean =>
  status?.state === 'done' || status?.state === 'failed';

/** @throws Error as `readStatus` */
export const isOver = (directory: string): boolean => isLast(readStatus(directory));

/** Waits for events of the kernel: a change in the carrier's directory, the end of the keeper. */
export class CarrierWatch {
  /**
   * Emits `looked` when the status has changed, and `changed` at most once a second, when what it says or what is in the
   * log may be news for people. Both once more at the end.
   */
  readonly events = new EventEmitter().setMaxListeners(0);
  /** Resolves once. Rejects as `readStatus` throws. */
  readonly ended: Promise<CarrierEnd>;
  readonly #place: CarrierPlace;
  readonly #end = Promise.withResolvers<CarrierEnd>();
  readonly #stopped = new AbortController();
  readonly #watcher: FSWatcher | null;
  #quiet: NodeJS.Timeout | null = null;
  #teller: NodeJS.Timeout | null = null;
  #hasEnded = false;

  constructor(place: CarrierPlace) {
    this.#place = place;
    this.ended = this.#end.promise;
    const stop = (): void => this.#stop();
    this.ended.then(stop, stop);
    // Before it is looked at: what changes in between is not missed.
    this.#watcher = place.keeper === null ? null : this.#watchOrSay();
    if (place.keeper !== null) this.#awaitKeeper(place.keeper);
    this.#look();
    if (place.keeper === null) this.#finish('keeper ended');
  }

  /**
   * Resolves once this is true of the status, or the carrier has come to its end.
   *
   * @throws Error as `readStatus`
   */
  async until(isSo: (status: CarrierStatus) => boolean): Promise<void> {
    for (;;) {
      const status = readStatus(this.#place.directory);
      if (this.#hasEnded || (status !== null && isSo(status))) return;
      await once(this.events, 'looked');
    }
  }

  #finish(how: CarrierEnd): void {
    this.#hasEnded = true;
    this.#end.resolve(how);
  }

  #awaitKeeper({ pidfd }: KnownProcess): void {
    const { sockets } = this.#place.native;
    whenReady(sockets, pidfd, sockets.POLL_READABLE, this.#stopped.signal)
      .then(() => this.#finish('keeper ended'))
      // Its end cannot be seen then, or is of no interest any more; the limit is there all the same.
      .catch(() => {});
  }

  #look(): void {
    const { directory, quietMs, retrievingMs } = this.#place;
    try {
      const status = readStatus(directory);
      if (isLast(status)) this.#finish('over');
      if (this.#hasEnded) return;
      if (this.#quiet !== null) clearTimeout(this.#quiet);
      const limitMs = status?.state === 'retrieving' ? retrievingMs : quietMs;
      this.#quiet = setTimeout(() => this.#finish('quiet'), limitMs);
      this.events.emit('looked');
    } catch (error) {
      // Nobody else would hear of it: this is called by the watch, too.
      this.#hasEnded = true;
      this.#end.reject(error);
    }
  }

  /** @returns null if the kernel has no watch to give: then the end of the keeper, or the limit, ends the wait */
  #watchOrSay(): FSWatcher | null {
    const { directory, log } = this.#place;
    const say = (error: unknown): void =>
      log('warning', 'the carrier cannot be watched', { problem: errnoOf(error) ?? saidBy(error) });
    try {
      return watch(directory, (_event, name) => this.#changed(name)).on('error', say);
    } catch (error) {
      say(error);
      return null;
    }
  }

  #changed(name: string | null): void {
    // What a VMM says is no progress of the carrier's.
    if (this.#hasEnded || (name !== null && name !== 'status' && name !== 'log')) return;
    if (name === 'log') this.#quiet?.refresh();
    else this.#look();
    this.#teller ??= setTimeout(() => {
      this.#teller = null;
      this.events.emit('changed');
    }, tellEveryMs);
  }

  #stop(): void {
    this.#watcher?.close();
    if (this.#quiet !== null) clearTimeout(this.#quiet);
    if (this.#teller !== null) clearTimeout(this.#teller);
    this.#stopped.abort(new Error('the carrier is waited for no more'));
    this.events.emit('looked');
    this.events.emit('changed');
  }
}
