// SPDX-License-Identifier: Apache-2.0
/**
 * What the page sees as `window.luo`: two functions, typed by the generated interface. It is all that
 * crosses from the sandboxed page to the main process, so a method added to the `.varlink` file needs
 * nothing here. Objects lose their prototypes on the way, which is why a failure is a plain object.
 */
import type { ConsoleMethods } from './bridge.generated.ts';

/** What a failed call rejects with, and what a stream that did not end well hands to `onEnd`. */
export interface BridgeFailure {
  /** Qualified name: `io.luoconsole.Console.HostNotFound`, or an agent's `io.luoconsole.Agent.SessionNotFound`. */
  readonly error: string;
  /** The error's parameters as its interface describes them. */
  readonly parameters: Record<string, unknown>;
  /** One sentence for a person. */
  readonly message: string;
}

/** Methods that answer once. */
export type CallMethod = {
  [M in keyof ConsoleMethods]: ConsoleMethods[M]['streaming'] extends 'must' ? never : M;
}[keyof ConsoleMethods];

/** Methods that answer again and again until cancelled. */
export type StreamMethod = Exclude<keyof ConsoleMethods, CallMethod>;

export interface LuoBridge {
  /** Asks once. Rejects with a `BridgeFailure`. */
  call<M extends CallMethod>(
    method: M,
    parameters: ConsoleMethods[M]['parameters'],
  ): Promise<ConsoleMethods[M]['reply']>;
  /**
   * Asks for a stream. `onEnd` is called once, with null if the stream ended by itself; never after
   * the returned function has been called, which cancels it.
   */
  stream<M extends StreamMethod>(
    method: M,
    parameters: ConsoleMethods[M]['parameters'],
    onReply: (reply: ConsoleMethods[M]['reply']) => void,
    onEnd: (failure: BridgeFailure | null) => void,
  ): () => void;
}
