// SPDX-License-Identifier: Apache-2.0
/**
 * What the generator makes of an interface, as a type; and how a service is made of it and its handlers.
 */
import type { Descriptor, FdLike, PeerCredentials } from '@luo-console/native';
import type { GenericSchema, InferInput, InferOutput } from 'valibot';
import { VarlinkError } from './errors.ts';

export interface MethodDefinition {
  readonly parameters: GenericSchema;
  readonly reply: GenericSchema;
  /** Whether it answers once, as often as the caller wants, or only to callers that take many replies. */
  readonly streaming: 'no' | 'may' | 'must';
}

export interface InterfaceDefinition {
  readonly name: string;
  /** The interface in Varlink's own language. */
  readonly description: string;
  readonly methods: Readonly<Record<string, MethodDefinition>>;
  readonly errors: Readonly<Record<string, GenericSchema>>;
}

/** One call under way, as its handler sees it. `Reply` is what the method answers with. */
export interface Call<Reply = unknown> {
  /** Qualified name, for example `io.luoconsole.Agent.GetStatus`. */
  readonly method: string;
  /** Whether the caller takes more than one reply. */
  readonly more: boolean;
  /** Whether the caller takes no reply at all. */
  readonly oneway: boolean;
  readonly peer: PeerCredentials;
  /** What travelled beside the call. Closed when the handler has settled, except what was taken. */
  readonly descriptors: readonly Descriptor[];
  /** Aborted when the caller vanishes or the server closes. */
  readonly signal: AbortSignal;
  /**
   * Passes the ownership of a descriptor to the handler.
   * @param index into `descriptors`
   * @param parameter the parameter that held the index, to be named in the error
   * @throws VarlinkError InvalidParameter if there is none at that index, or it was taken before
   */
  takeDescriptor(index: number, parameter?: string): Descriptor;
  /**
   * Lets a descriptor travel beside the next reply. It is duplicated: the handler keeps its own.
   * @returns its index in that reply
   */
  attach(descriptor: FdLike): number;
  /**
   * Sends a reply that is not the last, and waits until the caller's socket has taken it.
   * @throws ConnectionLost if the caller is gone; TypeError if it did not ask for more than one reply
   */
  reply(partial: Reply): Promise<void>;
}

/** What a handler is for each method of an interface: parameters checked and complete in, the last reply out. */
export type Handlers<I extends InterfaceDefinition> = {
  readonly [M in keyof I['methods']]: (
    parameters: InferOutput<I['methods'][M]['parameters']>,
    call: Call<InferInput<I['methods'][M]['reply']>>,
  ) => Promise<InferInput<I['methods'][M]['reply']>>;
};

type AnyHandler = (parameters: unknown, call: Call) => Promise<unknown>;

/** An interface with something behind it. */
export interface Service {
  readonly definition: InterfaceDefinition;
  /** @returns the method's definition and handler; null if the interface has no such method */
  find(method: string): { readonly method: MethodDefinition; readonly handler: AnyHandler | null } | null;
}

/**
 * @param definition generated from an interface description
 * @param handlers one for each method
 */
export function createService<const I extends InterfaceDefinition>(
  definition: I,
  handlers: Handlers<I>,
): Service {
  // The compiler has matched each handler with its method; behind this line they are looked up by name.
  const byName = new Map(Object.entries(handlers as Readonly<Record<string, AnyHandler>>));
  const methods = new Map(Object.entries(definition.methods));
  return {
    definition,
    find: (name) => {
      const method = methods.get(name);
      return method === undefined ? null : { method, handler: byName.get(name) ?? null };
    },
  };
}

/**
 * An error of an interface, ready to be thrown by a handler.
 *
 * @param name for example `SessionNotFound`
 */
export function interfaceError<const I extends InterfaceDefinition, E extends keyof I['errors'] & string>(
  definition: I,
  name: E,
  parameters: InferInput<I['errors'][E]>,
): VarlinkError {
  return new VarlinkError(`${definition.name}.${name}`, parameters as Readonly<Record<string, unknown>>);
}
