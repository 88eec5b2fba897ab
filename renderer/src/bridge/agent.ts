// SPDX-License-Identifier: Apache-2.0
/**
 * Speaks to a host's agent through the main process. Acts go to the host. Readings may come from the replica while
 * the host is away, and then say how old they are.
 */
import type { AgentMethods, Status } from '@luo-console/agent/interface';
import type { Host } from '@luo-console/electron/interface';
import { call, stream } from './bridge.ts';
import { Failure } from './failure.ts';

type Method = keyof AgentMethods;

/** A reading: `live` if the host answered just now, otherwise the replica's answer from `asOfUs` (µs since the epoch). */
export interface Reading<T> {
  value: T;
  live: boolean;
  asOfUs: number;
}

/** Has the host's agent do something. @throws Failure with the agent's error */
export async function callAgent<M extends Method>(
  host: string,
  method: M,
  parameters: AgentMethods[M]['parameters'],
): Promise<AgentMethods[M]['reply']> {
  const reply = await call('CallAgent', { host, method, parameters: { ...parameters } });
  return reply.parameters as AgentMethods[M]['reply'];
}

/** Reads from the host's agent or, while the host is away, from its replica. @throws Failure */
export async function readAgent<M extends Method>(
  host: string,
  method: M,
  parameters: AgentMethods[M]['parameters'],
): Promise<Reading<AgentMethods[M]['reply']>> {
  const reply = await call('ReadAgent', { host, method, parameters: { ...parameters } });
  return { value: reply.parameters as AgentMethods[M]['reply'], live: reply.live, asOfUs: reply.asOfUs };
}

/** Follows a streaming method of the host's agent. @returns a function that cancels */
export function followAgent<M extends Method>(
  host: string,
  method: M,
  parameters: AgentMethods[M]['parameters'],
  onReply: (reply: AgentMethods[M]['reply']) => void,
  onEnd: (failure: Failure | null) => void,
): () => void {
  return stream(
    'FollowAgent',
    { host, method, parameters: { ...parameters } },
    (reply) => onReply(reply.parameters as AgentMethods[M]['reply']),
    onEnd,
  );
}

/**
 * Has the host's agent do something that takes a while, and hears how far it is.
 *
 * @param onReply told each reply
 * @returns the last reply
 * @throws Failure with the agent's error
 */
export function callFollowed<M extends Method>(
  host: string,
  method: M,
  parameters: AgentMethods[M]['parameters'],
  onReply: (reply: AgentMethods[M]['reply']) => void,
): Promise<AgentMethods[M]['reply']> {
  return new Promise((resolve, reject) => {
    let last: AgentMethods[M]['reply'] | null = null;
    const heard = (reply: AgentMethods[M]['reply']): void => {
      last = reply;
      onReply(reply);
    };
    followAgent(host, method, parameters, heard, (failure) => {
      if (failure) reject(failure);
      else if (last) resolve(last);
      else reject(new Failure('ConnectionLost', {}, `${method} ended without an answer`));
    });
  });
}

/** The last status heard from a host, or null if nothing was ever heard. The main process has validated it. */
export function hostStatus(host: Host | null): Status | null {
  return (host?.status as Status | null | undefined) ?? null;
}

/** How far this machine's clock is ahead of the host's, in µs: add it to a host's time to compare with our own. */
export function clockOffsetUs(host: Host | null): number {
  const status = hostStatus(host);
  return status && host?.statusAtUs ? host.statusAtUs - status.nowUs : 0;
}
