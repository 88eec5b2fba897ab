// SPDX-License-Identifier: Apache-2.0
/**
 * Waiting for the device while somebody else has it open. Stopped machines are worth waiting for, so there is no limit.
 * Who has it is said in the log, in the agent's `STATUS`, and to everybody who calls meanwhile.
 */
import { EventEmitter } from 'node:events';
import type { Descriptor, Native } from '@luo-console/native';
import type { Log } from '../../host/log.ts';
import { Refusal } from '../../host/refusal.ts';
import { saidBy } from '../../host/said-by.ts';
import { tellManager } from '../../host/tell-manager.ts';

type Busy = Refusal<'DeviceBusy'>;

/** What the agent waits for. */
export interface Waiting {
  /** Who had the device when it was last asked for. */
  readonly busy: Busy;
  /** Emits `changed`. */
  readonly events: EventEmitter;
}

/**
 * Answers calls until the signal fires. It must not listen after that: the agent itself does then.
 *
 * @param listening the socket that the service manager handed in, which stays the caller's; null if it did not
 */
export type AnswerMeanwhile = (
  waiting: Waiting,
  listening: Descriptor | null,
  signal: AbortSignal,
) => Promise<void>;

export interface WaitingContext {
  readonly native: Native;
  readonly log: Log;
  /** Whether the kernel is known to have been handed nothing. Asked only while somebody else has the device. */
  nothingCame(): boolean;
  /** Answers calls for as long as the agent waits. */
  readonly answerMeanwhile: (waiting: Waiting, signal: AbortSignal) => Promise<void>;
}

/**
 * Does what needs the device as often as somebody else has it. Upstream's luod never gives it back, so where nothing
 * came there is no waiting. If the device is missing, there is nothing to retrieve; this is not an error.
 */
export async function patiently(context: WaitingContext, work: () => Promise<void>): Promise<void> {
  const { log, native, nothingCame } = context;
  const over = new AbortController();
  let waiting: { busy: Busy; readonly events: EventEmitter } | null = null;
  try {
    for (;;) {
      const busy = await isBusy(work);
      if (busy === null) return;
      if (nothingCame()) {
        log('warning', 'the live update device is busy; nothing was handed over', { problem: busy.message });
        return;
      }
      tellManager(native, log, `STATUS=waiting for the live update device: ${busy.message}`);
      log('warning', 'waiting for the live update device', { problem: busy.message });
      if (waiting === null) {
        waiting = { busy, events: new EventEmitter().setMaxListeners(0) };
        context.answerMeanwhile(waiting, over.signal).catch((error: unknown) => {
          log('warning', 'calls cannot be answered meanwhile', { problem: saidBy(error) });
        });
      } else if (busy.message !== waiting.busy.message) {
        waiting.busy = busy;
        waiting.events.emit('changed');
      }
    }
  } finally {
    over.abort();
  }
}

/** @returns who has the device; null if the work is done, or failed in another way, which is no error here */
async function isBusy(work: () => Promise<void>): Promise<Busy | null> {
  try {
    await work();
    return null;
  } catch (error) {
    return error instanceof Refusal && error.refusal === 'DeviceBusy' ? error : null;
  }
}
