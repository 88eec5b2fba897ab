// SPDX-License-Identifier: Apache-2.0
/**
 * Binds the generated interface to a table of handlers. The page is never trusted: method names and
 * parameters are checked here, whatever the preload did. The table's type is derived from the
 * interface, so a method without a handler does not compile.
 */
import * as v from 'valibot';
import { ConsoleInterface, type ConsoleMethods } from '../interface/bridge.generated.ts';
import { ConsoleError, invalidValue } from '../interface/errors.ts';

type Methods = (typeof ConsoleInterface)['methods'];

/** Parameters of a method after validation: absent values are null. */
export type Checked<M extends keyof Methods> = v.InferOutput<Methods[M]['parameters']>;

type Reply<M extends keyof Methods> = v.InferInput<Methods[M]['reply']>;

/** One function a method: a streaming one yields replies until it ends or `signal` aborts. */
export type Handlers = {
  readonly [M in keyof ConsoleMethods]: ConsoleMethods[M]['streaming'] extends 'must'
    ? (parameters: Checked<M>, signal: AbortSignal) => AsyncIterable<Reply<M>>
    : (parameters: Checked<M>) => Reply<M> | Promise<Reply<M>>;
};

export interface Dispatcher {
  /**
   * Validates and answers a call.
   *
   * @throws ConsoleError MethodNotAllowed, InvalidValue, or whatever the handler throws
   */
  call(method: unknown, parameters: unknown): Promise<Record<string, unknown>>;
  /** Validates and starts a stream; throws as `call` does, from the first `next()`. */
  stream(method: unknown, parameters: unknown, signal: AbortSignal): AsyncIterable<Record<string, unknown>>;
}

type AnyHandler = (
  parameters: unknown,
  signal: AbortSignal,
) => Promise<Record<string, unknown>> & AsyncIterable<Record<string, unknown>>;

function knownMethod(method: unknown, streaming: boolean): keyof Methods {
  const known = typeof method === 'string' && Object.hasOwn(ConsoleInterface.methods, method);
  if (known && (ConsoleInterface.methods[method as keyof Methods].streaming === 'must') === streaming) {
    return method as keyof Methods;
  }
  const shown = String(method).slice(0, 100);
  const message = known
    ? `${shown} ${streaming ? 'answers once and is no stream' : 'is a stream'}`
    : `${ConsoleInterface.name} has no method ${JSON.stringify(shown)}`;
  throw new ConsoleError('MethodNotAllowed', { method: shown }, message);
}

function checkedParameters(method: keyof Methods, parameters: unknown): unknown {
  const result = v.safeParse(ConsoleInterface.methods[method].parameters, parameters);
  if (result.success) return result.output;
  const issue = result.issues[0];
  const name = v.getDotPath(issue as v.BaseIssue<unknown>) ?? 'parameters';
  throw invalidValue(name, issue.input, issue.expected ?? 'something else');
}

/** Makes the one entry for everything the page asks. */
export function createDispatcher(handlers: Handlers): Dispatcher {
  const table = handlers as unknown as Record<keyof Methods, AnyHandler>;
  const never = new AbortController().signal;
  return {
    async call(method, parameters) {
      const name = knownMethod(method, false);
      return (await table[name](checkedParameters(name, parameters), never)) as Record<string, unknown>;
    },
    async *stream(method, parameters, signal) {
      const name = knownMethod(method, true);
      yield* table[name](checkedParameters(name, parameters), signal);
    },
  };
}
