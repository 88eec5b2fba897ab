// SPDX-License-Identifier: Apache-2.0
/**
 * The agent as a typed object. Calls share one connection. Each stream has a separate one: replies come in order, so a
 * stream would hold up every call behind it.
 */
import type { Descriptor, FdLike } from '@luo-console/native';
import { type GenericSchema, safeParse } from 'valibot';
import { type AgentErrors, AgentInterface, type AgentMethods } from '../interface/agent.generated.ts';
import {
  type Client,
  ConnectionLost,
  connectVarlink,
  ProtocolError,
  type Reply,
  VarlinkError,
} from '../varlink/index.ts';
import { type Address, parseAddress, type SshAddress } from './address.ts';
import type { Tunnel, TunnelOptions } from './ssh-tunnel.ts';
import { AgentUnreachable } from './unreachable.ts';

export type AgentMethod = keyof AgentMethods;

/** Methods that can answer more than once. */
export type StreamingMethod = {
  [M in AgentMethod]: AgentMethods[M]['streaming'] extends 'no' ? never : M;
}[AgentMethod];

export interface AgentClient {
  /** As it was given to `connectAgent`. */
  readonly address: string;
  /**
   * Calls a method. Descriptors that come with the reply are closed: see `exchange`.
   * @throws VarlinkError for an error of the agent (see `isAgentError`); ConnectionLost; ProtocolError
   */
  call<M extends AgentMethod>(
    method: M,
    parameters: AgentMethods[M]['parameters'],
  ): Promise<AgentMethods[M]['reply']>;
  /** As `call`, with descriptors both ways. Those sent stay the caller's; those that come are the caller's to close. */
  exchange<M extends AgentMethod>(
    method: M,
    parameters: AgentMethods[M]['parameters'],
    descriptors?: readonly FdLike[],
  ): Promise<{ reply: AgentMethods[M]['reply']; descriptors: Descriptor[] }>;
  /** Replies as they come. Leaving the loop, or aborting, ends the call. Throws as `call`, and the signal's reason. */
  stream<M extends StreamingMethod>(
    method: M,
    parameters: AgentMethods[M]['parameters'],
    options?: { signal?: AbortSignal },
  ): AsyncGenerator<AgentMethods[M]['reply'], void, void>;
  /** Ends the connection, and ssh with it. Closing twice does nothing. */
  close(): void;
  /** Settles when the connection has ended: with why, or null if it was closed on this side. */
  readonly closed: Promise<Error | null>;
}

function readReply<M extends AgentMethod>(
  method: M,
  { reply, descriptors }: Reply,
): AgentMethods[M]['reply'] {
  const checked = safeParse(AgentInterface.methods[method].reply, reply);
  if (checked.success) return checked.output as AgentMethods[M]['reply'];
  for (const descriptor of descriptors) descriptor.close();
  const where = checked.issues[0].path?.map(({ key }) => String(key)).join('.') ?? 'the whole';
  throw new ProtocolError(
    `${method}: the agent's reply is not understood (${where}: ${checked.issues[0].message})`,
  );
}

/** An error of the agent with every parameter its description names, null where the agent left one out. */
function completed(error: unknown): unknown {
  if (!(error instanceof VarlinkError)) return error;
  const schemas: Readonly<Record<string, GenericSchema>> = AgentInterface.errors;
  const schema = schemas[error.error.replace(`${AgentInterface.name}.`, '')];
  const checked = schema === undefined ? null : safeParse(schema, error.parameters);
  return checked?.success
    ? new VarlinkError(error.error, checked.output as VarlinkError['parameters'])
    : error;
}

class ConnectedAgent implements AgentClient {
  readonly address: string;
  readonly closed: Promise<Error | null>;
  private readonly path: string;
  private readonly client: Client;
  private readonly tunnel: Tunnel | null;
  private readonly streams = new Set<Client>();

  constructor(address: string, path: string, client: Client, tunnel: Tunnel | null) {
    this.address = address;
    this.path = path;
    this.client = client;
    this.tunnel = tunnel;
    this.closed = client.closed;
    void client.closed.then(() => tunnel?.close());
    void tunnel?.ended.then((how) => this.end(new ConnectionLost(`ssh ended (${how})`)));
  }

  async call<M extends AgentMethod>(method: M, parameters: AgentMethods[M]['parameters']) {
    const { reply, descriptors } = await this.exchange(method, parameters);
    for (const descriptor of descriptors) descriptor.close();
    return reply;
  }

  async exchange<M extends AgentMethod>(
    method: M,
    parameters: AgentMethods[M]['parameters'],
    descriptors: readonly FdLike[] = [],
  ) {
    const name = `${AgentInterface.name}.${method}`;
    const answer = await this.client.call(name, parameters, { descriptors }).catch((error: unknown) => {
      throw completed(error);
    });
    return { reply: readReply(method, answer), descriptors: answer.descriptors };
  }

  async *stream<M extends StreamingMethod>(
    method: M,
    parameters: AgentMethods[M]['parameters'],
    options: { signal?: AbortSignal } = {},
  ): AsyncGenerator<AgentMethods[M]['reply'], void, void> {
    options.signal?.throwIfAborted();
    const client = connectTo(this.path, this.address);
    this.streams.add(client);
    try {
      for await (const answer of client.stream(`${AgentInterface.name}.${method}`, parameters, options)) {
        const reply = readReply(method, answer);
        for (const descriptor of answer.descriptors) descriptor.close();
        yield reply;
      }
    } catch (error) {
      throw completed(error);
    } finally {
      this.streams.delete(client);
      client.close();
    }
  }

  close(): void {
    this.end();
  }

  private end(reason?: ConnectionLost): void {
    this.client.close(reason);
    for (const client of this.streams) client.close(reason);
    this.tunnel?.close();
  }
}

/** How often, and after how many milliseconds each, a socket that refuses is tried again. */
const refusedAttempts = 20;
const refusedPauseMs = 10;

const connectAdvice: Readonly<Record<string, string>> = {
  ENOENT: 'the socket does not exist; is luo-console-agent installed and running?',
  ECONNREFUSED: 'no program listens on the socket; is luo-console-agent running?',
  EACCES: 'access denied; join group luo-console or luo-console-operator',
};

function connectTo(path: string, address: string): Client {
  try {
    return connectVarlink(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    const reason = connectAdvice[code] ?? (error instanceof Error ? error.message : String(error));
    throw new AgentUnreachable(`no agent at ${address}: ${reason}`, { cause: error });
  }
}

/**
 * Connects to a socket that may have been made this very moment: it refuses between `bind` and `listen`, and
 * nothing announces the second.
 */
async function connectSoon(path: string, address: string): Promise<Client> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return connectTo(path, address);
    } catch (error) {
      const code =
        error instanceof Error && error.cause instanceof Error && 'code' in error.cause && error.cause.code;
      if (code !== 'ECONNREFUSED' || attempt === refusedAttempts) throw error;
      await new Promise((resolve) => setTimeout(resolve, refusedPauseMs));
    }
  }
}

/** Asks who is there: a forwarded socket accepts everybody, whether or not anything is behind it. */
async function greet(client: Client, address: string): Promise<void> {
  try {
    const { interfaces } = (await client.call('org.varlink.service.GetInfo', {})).reply;
    if (Array.isArray(interfaces) && interfaces.includes(AgentInterface.name)) return;
  } catch (error) {
    client.close();
    if (error instanceof ConnectionLost) {
      throw new AgentUnreachable(`no agent at ${address}: the connection was closed before it answered`, {
        cause: error,
      });
    }
    throw error;
  }
  client.close();
  throw new AgentUnreachable(
    `no agent at ${address}: the program there does not offer ${AgentInterface.name}`,
  );
}

async function tunnelTo(address: SshAddress, options: TunnelOptions): Promise<Tunnel> {
  // Loaded only when wanted: a local call should not pay for it.
  const { openTunnel } = await import('./ssh-tunnel.ts');
  return openTunnel(address, options);
}

async function reach(address: Address, text: string, options: TunnelOptions): Promise<AgentClient> {
  const tunnel = address.kind === 'ssh' ? await tunnelTo(address, options) : null;
  const path = address.kind === 'unix' ? address.path : (tunnel?.path ?? '');
  try {
    const client = await connectSoon(path, text);
    await greet(client, text);
    return new ConnectedAgent(text, path, client, tunnel);
  } catch (error) {
    tunnel?.close();
    throw error;
  }
}

/**
 * Connects to an agent and makes sure that one is there.
 *
 * @param address `unix:/PATH` or `ssh://[USER@]HOST[:PORT]`; for ssh, ssh runs in this program's terminal
 * @throws AddressError; AgentUnreachable; VarlinkError if the agent admits nobody like us
 */
export async function connectAgent(address: string, options: TunnelOptions = {}): Promise<AgentClient> {
  return reach(parseAddress(address), address, options);
}

export type AgentErrorName = keyof AgentErrors;

/** A VarlinkError of the agent's interface, with the parameters of that error. */
export type AgentError<E extends AgentErrorName = AgentErrorName> = VarlinkError & {
  readonly parameters: Readonly<AgentErrors[E]>;
};

/** Whether an exception is the agent's answer `name`, with the parameters that belong to it. */
export function isAgentError<E extends AgentErrorName>(error: unknown, name: E): error is AgentError<E> {
  return (
    error instanceof VarlinkError &&
    error.error === `${AgentInterface.name}.${name}` &&
    safeParse(AgentInterface.errors[name], error.parameters).success
  );
}
