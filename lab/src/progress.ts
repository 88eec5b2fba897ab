// SPDX-License-Identifier: Apache-2.0
/**
 * What the lab tells its caller while it works. Building a kernel takes minutes. So each step has a name, reports at
 * least once a second that it runs, and says at the end how long it took. The listener decides how to draw that: the
 * command line rewrites a line, a test ignores it.
 */

import { withLock } from './lock.ts';

/** One report about one step. */
export interface Progress {
  /** What is being done, in words for the person waiting. */
  readonly step: string;
  readonly state: 'running' | 'done' | 'failed';
  /** Time since the step began, in milliseconds. */
  readonly elapsedMs: number;
  /** How far the step is, where that is known. */
  readonly detail?: string;
}

export type OnProgress = (progress: Progress) => void;

/** A listener for callers who do not want to know. */
export const silent: OnProgress = () => {};

/**
 * Runs one named step and reports its beginning, its going on, and its end.
 *
 * @param onProgress who listens
 * @param name what is being done
 * @param work the step; it may call `detail` to say how far it is
 * @returns what `work` returns; what it throws is reported as `failed` and thrown on
 */
export async function step<Result>(
  onProgress: OnProgress,
  name: string,
  work: (detail: (text: string) => void) => Promise<Result>,
): Promise<Result> {
  const began = performance.now();
  let last: string | undefined;
  const report = (state: Progress['state']): void => {
    const elapsedMs = performance.now() - began;
    onProgress({ step: name, state, elapsedMs, ...(last === undefined ? {} : { detail: last }) });
  };
  report('running');
  const ticking = setInterval(() => report('running'), 1000);
  try {
    const result = await work((text) => {
      last = text;
    });
    report('done');
    return result;
  } catch (error) {
    report('failed');
    throw error;
  } finally {
    clearInterval(ticking);
  }
}

/**
 * Does some work under a lock; waiting for somebody else who holds it is a step too.
 *
 * @param onProgress who listens
 * @param lock path of the lock file
 * @param work what must not be done twice at once
 */
export async function withOthersShown<Result>(
  onProgress: OnProgress,
  lock: string,
  work: () => Promise<Result>,
): Promise<Result> {
  const { promise: ours, resolve: letGo } = Promise.withResolvers<void>();
  let shown: Promise<void> = ours;
  const held = async (): Promise<Result> => {
    letGo();
    await shown;
    return await work();
  };
  try {
    return await withLock(lock, held, () => {
      shown = step(onProgress, 'wait for another program that builds the same', () => ours);
    });
  } finally {
    letGo();
  }
}
