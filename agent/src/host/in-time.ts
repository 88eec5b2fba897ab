// SPDX-License-Identifier: Apache-2.0
/** Waiting for what may never answer, with a limit. */

/**
 * Waits for work no longer than a limit. Beyond it the work goes on by itself, and nobody hears of its end.
 *
 * @param limitMs how long to wait; null for as long as it takes
 * @param late what to throw then
 * @param signal ends the wait as well
 * @throws what `late` makes; the signal's reason; what the work throws
 */
export async function inTime<Result>(
  work: Promise<Result>,
  limitMs: number | null,
  late: () => Error,
  signal?: AbortSignal,
): Promise<Result> {
  const over = Promise.withResolvers<never>();
  const timer = limitMs === null ? null : setTimeout(() => over.reject(late()), limitMs);
  const aborted = (): void => over.reject(signal?.reason);
  signal?.addEventListener('abort', aborted);
  if (signal?.aborted) aborted();
  try {
    return await Promise.race([work, over.promise]);
  } finally {
    if (timer !== null) clearTimeout(timer);
    signal?.removeEventListener('abort', aborted);
  }
}

/** Waits for work, however long it takes, until the signal fires. @throws the signal's reason; what the work throws */
export const unlessAborted = <Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> =>
  inTime(work, null, () => new Error('it has no limit'), signal);
