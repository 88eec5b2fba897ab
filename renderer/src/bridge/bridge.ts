// SPDX-License-Identifier: Apache-2.0
/**
 * The only place that touches what the preload put on the window. All other code asks through these functions.
 * They carry the types generated from the Console interface, and turn every error of the other side into a
 * Failure.
 */
import type { ConsoleMethods } from '@luo-console/electron/interface';
import { Failure, toFailure } from './failure.ts';

/** What the preload offers the window. Replies and parameters are validated on its side. */
export interface LuoBridge {
  call(method: string, parameters: object): Promise<unknown>;
  stream(
    method: string,
    parameters: object,
    onReply: (reply: unknown) => void,
    onEnd: (failure?: unknown) => void,
  ): () => void;
}

declare global {
  interface Window {
    luo?: LuoBridge;
  }
}

type Method = keyof ConsoleMethods;

function bridge(): LuoBridge {
  if (!window.luo) {
    throw new Failure('BridgeMissing', {}, 'This page was not opened by LUO Console.');
  }
  return window.luo;
}

/**
 * Calls a method of the main process.
 * @returns its reply
 * @throws Failure with the name and parameters of the error, of the console or of the host's agent
 */
export async function call<M extends Method>(
  method: M,
  parameters: ConsoleMethods[M]['parameters'],
): Promise<ConsoleMethods[M]['reply']> {
  try {
    return (await bridge().call(method, parameters)) as ConsoleMethods[M]['reply'];
  } catch (thrown) {
    throw toFailure(thrown);
  }
}

/**
 * Follows a streaming method of the main process.
 * @param onEnd called once when the stream is over, with the failure if it did not end by itself; not called after cancelling
 * @returns a function that cancels
 */
export function stream<M extends Method>(
  method: M,
  parameters: ConsoleMethods[M]['parameters'],
  onReply: (reply: ConsoleMethods[M]['reply']) => void,
  onEnd: (failure: Failure | null) => void,
): () => void {
  let cancelled = false;
  function deliver(reply: unknown) {
    if (!cancelled) onReply(reply as ConsoleMethods[M]['reply']);
  }
  function end(thrown?: unknown) {
    if (!cancelled) onEnd(thrown === undefined || thrown === null ? null : toFailure(thrown));
    cancelled = true;
  }
  try {
    const cancel = bridge().stream(method, parameters, deliver, end);
    return () => {
      cancelled = true;
      cancel();
    };
  } catch (thrown) {
    end(thrown);
    return () => {};
  }
}
