// SPDX-License-Identifier: Apache-2.0
/**
 * Drives one stream to its end. It takes the next reply only while fewer than `inFlight` are on their way, so
 * the source is no faster than the page. After a cancellation nothing is reported.
 */

export interface StreamOptions {
  readonly replies: (signal: AbortSignal) => AsyncIterable<Record<string, unknown>>;
  /** Replies that may be sent without having been acknowledged, at least 1. */
  readonly inFlight: number;
  readonly onReply: (reply: Record<string, unknown>) => void;
  /** Once: null if the source ended, otherwise what it threw. */
  readonly onEnd: (error: unknown) => void;
}

export interface StreamControl {
  acknowledge(): void;
  cancel(): void;
}

/** Starts the stream. Never throws: a source that fails at once ends it. */
export function runStream({ replies, inFlight, onReply, onEnd }: StreamOptions): StreamControl {
  const cancelled = new AbortController();
  let underWay = 0;
  let room = Promise.withResolvers<void>();

  const run = async () => {
    for await (const reply of replies(cancelled.signal)) {
      if (cancelled.signal.aborted) return;
      onReply(reply);
      underWay += 1;
      while (underWay >= inFlight && !cancelled.signal.aborted) await room.promise;
    }
  };

  run().then(
    () => {
      if (!cancelled.signal.aborted) onEnd(null);
    },
    (error: unknown) => {
      if (!cancelled.signal.aborted) onEnd(error);
    },
  );

  const wake = () => {
    room.resolve();
    room = Promise.withResolvers<void>();
  };
  return {
    acknowledge() {
      if (underWay > 0) underWay -= 1;
      wake();
    },
    cancel() {
      cancelled.abort();
      wake();
    },
  };
}
