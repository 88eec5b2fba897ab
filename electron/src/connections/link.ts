// SPDX-License-Identifier: Apache-2.0
/**
 * A live connection to one agent, and the way to get one. The state machine knows only this interface. So it
 * can be tested without a host, and ssh and the local socket differ in one place.
 */
import type { Status } from '@luo-console/agent/interface';

type Reply = Record<string, unknown>;

export interface AgentLink {
  /** Calls a method of `io.luoconsole.Agent`. Rejects with the agent's error, or when the link is gone. */
  call(method: string, parameters: Reply): Promise<Reply>;
  /** Replies of a streaming method; ends with it. Throws as `call` does. */
  stream(method: string, parameters: Reply, signal?: AbortSignal): AsyncIterable<Reply>;
  /** Resolves when the link is gone, with one sentence on why. */
  readonly closed: Promise<string>;
  /** Ends it; resolves once everything it needed is freed. */
  close(): Promise<void>;
}

/** A link over which the agent has already answered once. */
export interface OpenedLink {
  readonly link: AgentLink;
  readonly status: Status;
}

export interface OpenOptions {
  /** Gives up and frees everything; the promise then rejects. */
  readonly signal: AbortSignal;
  /**
   * The host is expected to come back: an agent that does not answer yet is asked again for as long
   * as the way to it stands.
   */
  readonly patient: boolean;
  /** Called with a terminal's id while that terminal waits for an answer from a person, then with null. */
  readonly onPrompt: (terminal: string | null) => void;
}

export interface Connector {
  /** Connects and asks for the status. Rejects with an Error whose message is one sentence for a person. */
  open(options: OpenOptions): Promise<OpenedLink>;
}
