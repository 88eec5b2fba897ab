// SPDX-License-Identifier: Apache-2.0
/** Waiting until the carrier is through with all machines, or has come to a stop. */
import { type FSWatcher, watch } from 'node:fs';
import type { Native } from '@luo-console/native';
import type { KnownProcess } from '../../../host/known-process.ts';
import type { Log } from '../../../host/log.ts';
import { errnoOf } from '../../../host/refusal.ts';
import { saidBy } from '../../../host/said-by.ts';
import { tellManager } from '../../../host/tell-manager.ts';
import { whenReady } from '../../../host/waiting.ts';
import { readLog } from '../../program/carrier-log.ts';
import { readStatus } from './carrier-status.ts';

/** How it ended: all is done, the keeper has ended, or nothing has changed for too long. */
export type CarrierEnd = 'over' | 'keeper ended' | 'quiet';

export interface CarrierWait {
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

/** @throws Error as `readStatus` */
export const isOver = (directory: string): boolean => {
  const state = readStatus(directory)?.state;
  return state === 'done' || state === 'failed';
};

const limitMs = ({ directory, quietMs, retrievingMs }: CarrierWait): number =>
  readStatus(directory)?.state === 'retrieving' ? retrievingMs : quietMs;

/** Waits for events of the kernel: a change in the carrier's directory, the end of the keeper. */
export async function carrierEnds(wait: CarrierWait): Promise<CarrierEnd> {
  const { native, directory, keeper } = wait;
  if (isOver(directory)) return 'over';
  if (keeper === null) return 'keeper ended';
  const ended = new AbortController();
  const { promise, resolve, reject } = Promise.withResolvers<CarrierEnd>();
  const { sockets } = native;
  whenReady(sockets, keeper.pidfd, sockets.POLL_READABLE, ended.signal)
    .then(() => resolve('keeper ended'))
    // Its end cannot be seen then, or is of no interest any more; the limit is there all the same.
    .catch(() => {});
  let quiet = setTimeout(() => resolve('quiet'), limitMs(wait));
  const teller = new Teller(wait);
  const look = (): void => {
    try {
      if (isOver(directory)) resolve('over');
      clearTimeout(quiet);
      quiet = setTimeout(() => resolve('quiet'), limitMs(wait));
    } catch (error) {
      // Nobody else would hear of it: this is called by the watch, too.
      reject(error);
    }
  };
  const watcher = watchOrSay(wait, (name) => {
    // What a VMM says is no progress of the carrier's.
    if (name !== null && name !== 'status' && name !== 'log') return;
    if (name === 'log') quiet.refresh();
    else look();
    teller.changed();
  });
  try {
    // It may have changed before it was watched.
    look();
    teller.tell();
    return await promise;
  } finally {
    watcher?.close();
    clearTimeout(quiet);
    teller.stop();
    ended.abort(new Error('the carrier is waited for no more'));
  }
}

/** @returns null if the kernel has no watch to give: then the end of the keeper, or the limit, ends the wait */
function watchOrSay(
  { directory, log }: CarrierWait,
  changed: (name: string | null) => void,
): FSWatcher | null {
  const say = (error: unknown): void =>
    log('warning', 'the carrier cannot be watched', { problem: errnoOf(error) ?? saidBy(error) });
  try {
    return watch(directory, (_event, name) => changed(name)).on('error', say);
  } catch (error) {
    say(error);
    return null;
  }
}

/** Tells the service manager what the machines wait for. */
class Teller {
  readonly #wait: CarrierWait;
  #timer: NodeJS.Timeout | null = null;

  constructor(wait: CarrierWait) {
    this.#wait = wait;
  }

  changed(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = null;
      this.tell();
    }, tellEveryMs);
  }

  tell(): void {
    const { native, log, directory } = this.#wait;
    try {
      const sessions = new Map(
        readStatus(directory)?.machines.map(({ number, session }) => [number, session]),
      );
      const waits = [...readLog(directory, native.kernel.clock('boottime')).machines].flatMap(
        ([number, { waits: what }]) =>
          what === null ? [] : [`${sessions.get(number) ?? `machine ${number}`}: ${what}`],
      );
      const what = waits.length === 0 ? '' : `: ${waits.join('; ')}`;
      tellManager(native, log, `STATUS=waiting for the carrier to bring the machines back${what}`);
    } catch (error) {
      log('warning', 'it is unknown what the carrier waits for', { problem: saidBy(error) });
    }
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}
