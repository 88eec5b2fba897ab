// SPDX-License-Identifier: Apache-2.0
/**
 * What the page may ask of an agent, by how it may ask. The list is the agent's interface without the methods
 * that send file descriptors beside the message: those cannot reach a page. Only methods on the list of
 * readers are answered from the replica.
 */
import { AgentInterface, type AgentMethods } from '@luo-console/agent/interface';
import { ConsoleError } from '../interface/errors.ts';

export type AgentMethod = keyof AgentMethods;

const withDescriptors: ReadonlySet<string> = new Set<AgentMethod>([
  'PreserveDescriptor',
  'PreserveDescriptors',
  'FetchSession',
  'FetchDescriptor',
  'FetchConsole',
]);

/** Methods that change nothing and whose last answer still says something when it is old. */
const readers: ReadonlySet<string> = new Set<AgentMethod>([
  'GetStatus',
  'ListSessions',
  'GetSession',
  'ListCandidates',
  'ListMachines',
  'GetMachine',
  'ListHeldMachines',
  'ListDefinitions',
  'ListKernels',
  'ListUpdates',
  'GetUpdate',
  'QueryJournal',
  'VerifyJournal',
]);

/** `call` answers once, `follow` answers again and again, `read` may be answered from the replica. */
export type Manner = 'call' | 'follow' | 'read';

function isAllowed(method: string, manner: Manner): boolean {
  if (!Object.hasOwn(AgentInterface.methods, method) || withDescriptors.has(method)) return false;
  const { streaming } = AgentInterface.methods[method as AgentMethod];
  if (manner === 'read') return readers.has(method);
  return manner === 'call' ? streaming !== 'must' : streaming !== 'no';
}

/** @throws ConsoleError MethodNotAllowed unless the page may ask for `method` in this manner */
export function checkMethod(method: string, manner: Manner): AgentMethod {
  if (isAllowed(method, manner)) return method as AgentMethod;
  const shown = method.slice(0, 100);
  const message = `${JSON.stringify(shown)} is no method of an agent that the console can ${manner}`;
  throw new ConsoleError('MethodNotAllowed', { method: shown }, message);
}
