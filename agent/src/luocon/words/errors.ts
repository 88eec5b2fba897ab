// SPDX-License-Identifier: Apache-2.0
/** Failures in one line of plain words, each with the exit status that belongs to it. */
import { AddressError, type AgentErrorName, AgentUnreachable, isAgentError } from '../../client/index.ts';
import { type AgentErrors, AgentInterface } from '../../interface/agent.generated.ts';
import { ConnectionLost, VarlinkError } from '../../varlink/index.ts';
import { UsageError } from '../invocation.ts';
import { type ExitStatus, exitStatus } from './exit-status.ts';
import { words } from './quantities.ts';

const roleAdvice: Readonly<Record<string, string>> = {
  viewer: 'join group luo-console',
  operator: 'join group luo-console-operator',
  administrator: 'run as root',
};

const explanations: { readonly [E in AgentErrorName]: (parameters: AgentErrors[E]) => string } = {
  PermissionDenied: ({ method, needs, user, uid }) =>
    `${method}: access denied for ${user || `uid ${uid}`}; ${roleAdvice[needs] ?? `it needs the role ${needs}`}`,
  NoLiveUpdate: ({ availability, explanation }) =>
    `no live update on this host (${words(availability)}): ${explanation}`,
  DeviceBusy: ({ pid, command }) =>
    `/dev/liveupdate is in use by ${command ?? 'another process'}${pid === null ? '' : ` (pid ${pid})`}`,
  SessionNotFound: ({ name }) => `session "${name}" not found; "luocon sessions" lists them`,
  SessionExists: ({ name }) => `session "${name}" already exists; choose another name`,
  WrongDirection: ({ name, direction, needed }) =>
    `session "${name}" is ${direction}; expected an ${needed} session`,
  TokenNotFound: ({ session, token }) =>
    `token ${token} not found in session "${session}"; "luocon sessions show" lists its tokens`,
  TokenInUse: ({ session, token }) =>
    `token ${token} is already used in session "${session}"; choose another token`,
  AlreadyPreserved: ({ session, token }) =>
    `this file is already preserved${session === null ? '' : ` in session "${session}"`}${token === null ? '' : ` under token ${token}`}`,
  NotPreservable: ({ kind, reason, errno }) =>
    `the kernel cannot preserve this file (${words(kind)}): ${reason} (${errno})`,
  InvalidValue: ({ parameter, value, expected }) => `${parameter} "${value}": expected ${expected}`,
  WrongPhase: ({ phase, needed }) => `not possible in phase ${phase}; expected ${needed}`,
  PlanNotFound: ({ plan }) => `plan "${plan}" not found; make one with "luocon plan"`,
  PlanStale: ({ plan, changed }) =>
    `plan "${plan}" is out of date: ${changed}; make a new one with "luocon plan"`,
  PlanNotRunnable: ({ plan, reason }) => `plan "${plan}" cannot be run: ${reason}`,
  NothingToAbort: ({ phase }) => `nothing to abort: the host is in phase ${phase}`,
  UpdateNotFound: ({ id }) => `live update "${id}" not found in the journal; "luocon history" lists them`,
  NoSuchProcess: ({ pid }) => `process ${pid} not found`,
  NotAMachine: ({ pid, command }) => `process ${pid} (${command}) is not a virtual machine`,
  MachineUnusable: ({ pid, name, reason }) => `machine "${name}"${pid > 0 ? ` (pid ${pid})` : ''}: ${reason}`,
  DefinitionNotFound: ({ name }) => `no definition for machine "${name}"; "luocon definitions" lists them`,
  DefinitionInvalid: ({ path, reason }) => `${path}: ${reason}`,
  DependencyCycle: ({ cycle }) => `these depend on each other in a circle: ${cycle.join(' → ')}`,
  NoSuchDescriptor: ({ pid, fd }) => `process ${pid} has no descriptor ${fd}`,
  FileUnusable: ({ path, errno, reason }) => `${path}: ${reason} (${errno})`,
  KernelRejected: ({ path, errno, reason }) =>
    `${path}: the running kernel cannot load this image: ${reason} (${errno})`,
  DoneNotRecorded: ({ method, reason }) =>
    `${method}: done, and not recorded in the journal yet: ${reason}; the kernel log has it`,
  KernelCallFailed: ({ call, errno, argument, message }) =>
    `${call}${argument === '' ? '' : ` (${argument})`}: ${message} (${errno})`,
};

function explainAnswer(error: VarlinkError): string {
  for (const name of Object.keys(explanations) as AgentErrorName[]) {
    if (isAgentError(error, name)) return explainNamed(name, error.parameters);
  }
  if (error.error === 'org.varlink.service.PermissionDenied') {
    return 'access denied. Join group luo-console to view or luo-console-operator to act, or run as root.';
  }
  if (error.error === 'org.varlink.service.InvalidParameter') {
    return `the agent rejected the parameter ${String(Object.values(error.parameters)[0] ?? '(not named)')}`;
  }
  if (error.error === 'org.varlink.service.InternalError')
    return 'the agent failed; see "journalctl -u luo-console-agent" on the host';
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
      status: isAgentError(error, 'DoneNotRecorded') ? exitStatus.done : exitStatus.failed,
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
