// SPDX-License-Identifier: Apache-2.0
/**
 * Stays with a live update to its end, past the end of the host it began on.
 *
 * The kexec will end the connection, and it may be lost at any other time. The last reply is then only the last that is
 * known. The outcome is only what the agent's journal says afterwards, whichever kernel that agent runs on.
 */
import { type AgentClient, AgentUnreachable, isAgentError } from '../client/index.ts';
import type { Progress, Update } from '../interface/agent.generated.ts';
import { ConnectionLost } from '../varlink/index.ts';

export interface WatchOptions {
  /** Connects again to the same address. */
  readonly connect: () => Promise<AgentClient>;
  /** Milliseconds without an agent after which to give up. */
  readonly giveUpAfterMs: number;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
  /** The host went away. */
  readonly onAway: () => void;
  /** Still away, after `ms` milliseconds. */
  readonly onWaiting: (ms: number) => void;
  readonly onBack: () => void;
}

/** The host did not come back in time. The outcome is not known. */
export class StillAway extends Error {}

const firstPauseMs = 250;
const longestPauseMs = 5000;

function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** @returns the settled update; null if the agent's journal has none of that name */
async function follow(agent: AgentClient, id: string, options: WatchOptions): Promise<Update | null> {
  try {
    for await (const news of agent.stream('FollowUpdate', { update: id }, { signal: options.signal })) {
      if (news.update !== null) return news.update;
      if (news.progress?.update === id) options.onProgress(news.progress);
    }
  } catch (error) {
    if (isAgentError(error, 'UpdateNotFound')) return null;
    throw error;
  }
  throw new ConnectionLost('the agent’s answer ended before the outcome was known');
}

const isAbsence = (error: unknown): boolean =>
  error instanceof ConnectionLost || error instanceof AgentUnreachable;

/** Tries until an agent answers. */
async function comeBack(options: WatchOptions): Promise<AgentClient> {
  options.onAway();
  const since = performance.now();
  for (let wait = firstPauseMs; ; wait = Math.min(wait * 2, longestPauseMs)) {
    const away = performance.now() - since;
    if (away >= options.giveUpAfterMs)
      throw new StillAway(`the host was away for ${Math.round(away / 1000)} s`);
    options.onWaiting(away);
    await pause(Math.min(wait, options.giveUpAfterMs - away), options.signal);
    try {
      const agent = await options.connect();
      options.onBack();
      return agent;
    } catch (error) {
      if (!isAbsence(error)) throw error;
    }
  }
}

/**
 * @param agent connected; closed when this ends
 * @param id of the update
 * @returns how it ended; null if the agent's journal has no such update any more
 * @throws StillAway if the host did not come back; the signal's reason; VarlinkError
 */
export async function followToOutcome(
  agent: AgentClient,
  id: string,
  options: WatchOptions,
): Promise<Update | null> {
  let current = agent;
  try {
    for (;;) {
      try {
        return await follow(current, id, options);
      } catch (error) {
        if (!isAbsence(error) || options.signal.aborted) throw error;
      }
      current.close();
      current = await comeBack(options);
    }
  } finally {
    current.close();
  }
}

/**
 * Runs a plan and stays with it.
 *
 * @param agent connected; closed when this ends
 * @returns as `followToOutcome`, with the update's id
 * @throws VarlinkError if the agent would not begin; ConnectionLost if it is not known whether it began;
 *   otherwise as `followToOutcome`
 */
export async function runToOutcome(
  agent: AgentClient,
  run: { readonly plan: string; readonly graceSeconds: number | null },
  options: WatchOptions,
): Promise<{ id: string; update: Update | null }> {
  let id: string | null = null;
  try {
    for await (const { progress } of agent.stream('RunUpdate', run, { signal: options.signal })) {
      id = progress.update;
      options.onProgress(progress);
    }
  } catch (error) {
    // Once it has begun, a failure of the call is not yet the outcome: the agent undoes, and records what came of it.
    if (id === null || options.signal.aborted) {
      agent.close();
      throw error;
    }
    if (isAbsence(error)) {
      agent.close();
      return { id, update: await followToOutcome(await comeBack(options), id, options) };
    }
  }
  if (id === null) {
    agent.close();
    throw new Error('the agent’s answer ended before the update began');
  }
  return { id, update: await followToOutcome(agent, id, options) };
}
