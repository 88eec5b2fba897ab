// SPDX-License-Identifier: Apache-2.0
/**
 * Notices that a host is gone while it is expected to go. A kexec closes no connection, because the kernel
 * that knew of it is gone. Nothing arrives until ssh's own keep-alive gives up some seconds later. So while
 * the kexec is due, the agent is asked often, and one question without an answer is enough.
 */
import type { Clock } from './clock.ts';
import type { AgentLink } from './link.ts';

/** Milliseconds between questions, and how long an answer may take. */
const everyMs = 500;
const answerWithinMs = 1500;

export interface WatchOptions {
  readonly link: AgentLink;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Whether to ask at the moment. */
  readonly due: () => boolean;
}

/** Resolves, with one sentence, once an answer stays away; never if `signal` aborts first. */
export async function watchLiveness({ link, clock, signal, due }: WatchOptions): Promise<string> {
  while (!signal.aborted) {
    await clock.sleep(everyMs, signal);
    if (signal.aborted || !due()) continue;
    const answered = new AbortController();
    const answer = link.call('GetStatus', {}).then(
      () => true,
      () => false,
    );
    const inTime = await Promise.race([
      answer,
      clock.sleep(answerWithinMs, answered.signal).then(() => false),
    ]);
    answered.abort();
    if (!inTime && !signal.aborted) return 'The agent no longer answers';
  }
  return new Promise(() => {});
}
