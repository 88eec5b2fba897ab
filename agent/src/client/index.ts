// SPDX-License-Identifier: Apache-2.0
/** The agent, from the outside: addresses, connections and typed calls. */
export {
  type Address,
  AddressError,
  parseAddress,
  type SshAddress,
  type UnixAddress,
} from './address.ts';
export {
  type AgentClient,
  type AgentError,
  type AgentErrorName,
  type AgentMethod,
  connectAgent,
  isAgentError,
  type StreamingMethod,
} from './agent-client.ts';
export { type JournalFilter, journalConditions } from './journal-filter.ts';
export { type SshOptions, sshForwardArguments, sshShellArguments } from './ssh-arguments.ts';
export type { TunnelOptions } from './ssh-tunnel.ts';
export { AgentUnreachable } from './unreachable.ts';
