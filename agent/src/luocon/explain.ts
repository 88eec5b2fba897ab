// SPDX-License-Identifier: Apache-2.0
/** Failures in one line of plain words, each with the exit status that belongs to it. */
import { AddressError, type AgentErrorName, AgentUnreachable, isAgentError } from '../client/index.ts';
import { type AgentErrors, AgentInterface } from '../interface/agent.generated.ts';
import { ConnectionLost, VarlinkError } from '../varlink/index.ts';
import { type ExitStatus, exitStatus } from './exit-status.ts';
import { UsageError } from './invocation.ts';
import { words } from './units.ts';

const roleAdvice: Readonly<Record<string, string>> = {
  viewer: 'be in group luo-console',
  operator: 'be in group luo-console-operator',
  administrator: 'be root',
};

const explanations: { readonly [E in AgentErrorName]: (parameters: AgentErrors[E]) => string } = {
  PermissionDenied: ({ method, needs, user, uid }) =>
    `${method}: ${user || uid} may not do that; to do it, ${roleAdvice[needs] ?? `have the role ${needs}`}`,
  NoLiveUpdate: ({ availability, explanation }) =>
    `no live update on this host (${words(availability)}): ${explanation}`,
  DeviceBusy: ({ pid, command }) =>
    `/dev/liveupdate is in use by ${command ?? 'another process'}${pid === null ? '' : ` (pid ${pid})`}`,
  SessionNotFound: ({ name }) => `session "${name}": there is none of that name`,
  SessionExists: ({ name }) => `session "${name}": there is one of that name already`,
  WrongDirection: ({ name, direction, needed }) =>
    `session "${name}" is ${direction}; expected one that is ${needed}`,
  TokenNotFound: ({ session, token }) => `session "${session}" has nothing under token ${token}`,
  TokenInUse: ({ session, token }) => `session "${session}" has something under token ${token} already`,
  AlreadyPreserved: ({ session, token }) =>
    `preserved already${session === null ? '' : `, in session "${session}"`}${token === null ? '' : ` under token ${token}`}`,
  NotPreservable: ({ kind, reason, errno }) =>
    `the kernel does not preserve this (${words(kind)}): ${reason} (${errno})`,
  InvalidValue: ({ parameter, value, expected }) => `${parameter} "${value}": expected ${expected}`,
  WrongPhase: ({ phase, needed }) => `not now: the host is in phase ${phase}; expected ${needed}`,
  PlanNotFound: ({ plan }) => `plan "${plan}": there is none of that name; make one with "luocon plan"`,
  PlanStale: ({ plan, changed }) =>
    `plan "${plan}" is out of date: ${changed}; make a new one with "luocon plan"`,
  PlanNotRunnable: ({ plan, reason }) => `plan "${plan}" cannot be run: ${reason}`,
  NothingToAbort: ({ phase }) => `nothing to abort: the host is in phase ${phase}`,
  UpdateNotFound: ({ id }) => `live update "${id}": the journal has none of that name`,
  NoSuchProcess: ({ pid }) => `process ${pid}: there is none`,
  NotAMachine: ({ pid, command }) => `process ${pid} (${command}) is not a virtual machine`,
  MachineUnusable: ({ pid, name, reason }) => `machine "${name}"${pid > 0 ? ` (pid ${pid})` : ''}: ${reason}`,
  DefinitionNotFound: ({ name }) =>
    `machine "${name}": there is no definition of that name; "luocon definitions" lists them`,
  DefinitionInvalid: ({ path, reason }) => `${path}: ${reason}`,
  DependencyCycle: ({ cycle }) => `these depend on each other in a circle: ${cycle.join(' → ')}`,
  NoSuchDescriptor: ({ pid, fd }) => `process ${pid} has no descriptor ${fd}`,
  FileUnusable: ({ path, errno, reason }) => `${path}: ${reason} (${errno})`,
  KernelRejected: ({ path, errno, reason }) => `${path}: the kernel does not take it: ${reason} (${errno})`,
  KernelCallFailed: ({ call, errno, argument, message }) =>
    `${call}${argument === '' ? '' : ` (${argument})`}: ${message} (${errno})`,
};

function explainAnswer(error: VarlinkError): string {
  for (const name of Object.keys(explanations) as AgentErrorName[]) {
    if (isAgentError(error, name)) return explainNamed(name, error.parameters);
  }
  if (error.error === 'org.varlink.service.PermissionDenied') {
    return 'the agent does not admit you; be in group luo-console to look, in group luo-console-operator to act, or be root';
  }
  if (error.error === 'org.varlink.service.InvalidParameter') {
    return `the agent does not accept ${String(Object.values(error.parameters)[0] ?? 'a parameter')}`;
  }
  if (error.error === 'org.varlink.service.InternalError') return 'the agent failed; its log says why';
  return error.message;
}

function explainNamed<E extends AgentErrorName>(name: E, parameters: AgentErrors[E]): string {
  return explanations[name](parameters);
}

/**
 * @param error whatever a command threw
 * @returns a line for people, an object for programs, and the exit status
 */
export function explain(error: unknown): { line: string; json: object; status: ExitStatus } {
  if (error instanceof VarlinkError) {
    const name = error.error.replace(`${AgentInterface.name}.`, '');
    const line = explainAnswer(error);
    return {
      line,
      json: { error: name, parameters: error.parameters, message: line },
      status: exitStatus.failed,
    };
  }
  const line = error instanceof Error ? error.message : String(error);
  const plain = (name: string, text: string, status: ExitStatus) => ({
    line: text,
    json: { error: name, parameters: {}, message: text },
    status,
  });
  if (error instanceof UsageError || error instanceof AddressError)
    return plain('Usage', line, exitStatus.usage);
  if (error instanceof AgentUnreachable) return plain('Unreachable', line, exitStatus.connection);
  if (error instanceof ConnectionLost) {
    const text = `connection lost before the agent answered (${line}); what was asked may have happened`;
    return plain('ConnectionLost', text, exitStatus.connection);
  }
  return plain('Failed', line, exitStatus.failed);
}
