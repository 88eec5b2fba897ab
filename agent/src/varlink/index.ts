// SPDX-License-Identifier: Apache-2.0
/**
 * Varlink: a service and a client for it, over Unix sockets, with descriptors beside the messages. Knows
 * nothing of the agent.
 */
export type { ServiceInfo } from './builtin-service.ts';
export { type Client, connectVarlink, type Reply } from './client.ts';
export {
  type Call,
  createService,
  type Handlers,
  type InterfaceDefinition,
  interfaceError,
  type MethodDefinition,
  type Service,
} from './definition.ts';
export { ConnectionLost, ProtocolError, serviceError, VarlinkError } from './errors.ts';
export { maxDescriptors } from './framing.ts';
export type { Log } from './served-call.ts';
export { type ServeOptions, type Server, type Share, serve } from './server.ts';
