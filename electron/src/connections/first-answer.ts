// SPDX-License-Identifier: Apache-2.0
/**
 * Makes sure that an agent is behind a socket. A socket that ssh forwards exists before the agent does, so
 * only an answer counts. An agent that does not answer yet is asked again.
 */
import type { Status } from '@luo-console/agent/interface';
import { VarlinkError } from '@luo-console/agent/varlink';
import { createBackoff } from './backoff.ts';
import type { Clock } from './clock.ts';
import type { AgentLink, OpenedLink } from './link.ts';

export interface AskOptions {
  readonly link: AgentLink;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Milliseconds for which to ask again; Infinity while the host is expected back. */
  readonly forMs: number;
}

/** Milliseconds that one answer may take; a socket that leads to a dead host answers never. */
const oneAnswerMs = 10_000;

async function ask(link: AgentLink, clock: Clock, signal: AbortSignal): Promise<Status> {
  const answered = new AbortController();
  const late = clock.sleep(oneAnswerMs, AbortSignal.any([signal, answered.signal])).then(() => {
    throw new Error('The agent does not answer');
  });
  const answer = link.call('GetStatus', {});
  try {
    return (await Promise.race([answer, late]))['status'] as Status;
  } finally {
    answered.abort();
    late.catch(() => undefined);
    answer.catch(() => undefined);
  }
}

/**
 * Asks for the status until an answer comes.
 *
 * @throws VarlinkError at once if the agent refuses; otherwise what the last attempt failed with
 */
export async function firstAnswer({ link, clock, signal, forMs }: AskOptions): Promise<OpenedLink> {
  const backoff = createBackoff();
  let waitedMs = 0;
  for (;;) {
    try {
      return { link, status: await ask(link, clock, signal) };
    } catch (error) {
      if (error instanceof VarlinkError || signal.aborted) throw error;
      const waitMs = backoff.next();
      waitedMs += waitMs;
      if (waitedMs > forMs) throw error;
      await clock.sleep(waitMs, signal);
      signal.throwIfAborted();
    }
  }
}
