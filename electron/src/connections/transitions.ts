// SPDX-License-Identifier: Apache-2.0
/**
 * Every state a host's connection can be in, and what takes it from one to another; there is no other
 * way. `away` is the state that this program exists for: the host was there and is expected back.
 */
import type { ConnectionState } from '../interface/bridge.generated.ts';

/**
 * - `connect`, `disconnect`: a person, or the console at its start
 * - `up`: the agent has answered
 * - `refused`: the first attempt has failed in a way that trying again would not change
 * - `lost`: the connection has ended without being asked to, or the first attempt has failed and the host is known to be
 *   in the middle of a live update
 */
export type ConnectionEvent = 'connect' | 'disconnect' | 'up' | 'refused' | 'lost';

export const transitions: Readonly<
  Record<ConnectionState, Readonly<Partial<Record<ConnectionEvent, ConnectionState>>>>
> = {
  disconnected: { connect: 'connecting' },
  connecting: { up: 'connected', refused: 'failed', lost: 'away', disconnect: 'disconnected' },
  connected: { lost: 'away', disconnect: 'disconnected' },
  away: { up: 'connected', disconnect: 'disconnected' },
  failed: { connect: 'connecting', disconnect: 'disconnected' },
};

/** The state after `event`, or null if the event has no meaning in `state`. */
export function nextState(state: ConnectionState, event: ConnectionEvent): ConnectionState | null {
  return transitions[state][event] ?? null;
}
