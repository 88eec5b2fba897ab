// SPDX-License-Identifier: Apache-2.0
/**
 * One call on the server's side: from its parameters to its last reply.
 */
import { type Descriptor, type FdLike, native, type PeerCredentials } from '@luo-console/native';
import { safeParse } from 'valibot';
import type { Call, MethodDefinition, Service } from './definition.ts';
import { type CallEnvelope, issuePath } from './envelope.ts';
import { ConnectionLost, serviceError, VarlinkError } from './errors.ts';
import { closeAll, type Frame } from './framing.ts';
import type { MessageSocket } from './message-socket.ts';

/** One line of a service's log. */
export type Log = (
  level: 'debug' | 'info' | 'warning' | 'error',
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void;

/** What a call needs from the connection it came on. */
export interface CallContext {
  readonly socket: MessageSocket;
  readonly peer: PeerCredentials;
  readonly services: ReadonlyMap<string, Service>;
  readonly signal: AbortSignal;
  readonly log: Log;
  /** Makes an answer of an exception that is not a VarlinkError; null if it cannot. */
  readonly translate: (error: unknown, method: string) => VarlinkError | null;
}

class ServedCall implements Call {
  readonly method: string;
  readonly more: boolean;
  readonly oneway: boolean;
  readonly peer: PeerCredentials;
  readonly descriptors: readonly Descriptor[];
  readonly signal: AbortSignal;
  private readonly context: CallContext;
  private readonly definition: MethodDefinition;
  private readonly owned: (Descriptor | null)[];
  private attached: Descriptor[] = [];

  constructor(envelope: CallEnvelope, frame: Frame, definition: MethodDefinition, context: CallContext) {
    this.method = envelope.method;
    this.more = envelope.more;
    this.oneway = envelope.oneway;
    this.peer = context.peer;
    this.descriptors = frame.descriptors;
    this.signal = context.signal;
    this.context = context;
    this.definition = definition;
    this.owned = [...frame.descriptors];
  }

  takeDescriptor(index: number, parameter = 'fileDescriptor'): Descriptor {
    const descriptor = this.owned[index];
    if (descriptor === undefined || descriptor === null) throw serviceError.invalidParameter(parameter);
    this.owned[index] = null;
    return descriptor;
  }

  attach(descriptor: FdLike): number {
    this.attached.push(native.descriptors.duplicate(descriptor));
    return this.attached.length - 1;
  }

  async reply(partial: unknown): Promise<void> {
    if (!this.more)
      throw new TypeError(`${this.method}: replied more than once to a caller that takes one reply`);
    await this.send(partial, true);
  }

  async send(reply: unknown, continues: boolean): Promise<void> {
    const attached = this.attached;
    this.attached = [];
    try {
      if (this.oneway) return;
      const checked = safeParse(this.definition.reply, reply);
      if (!checked.success) {
        const [issue] = checked.issues;
        throw new TypeError(`${this.method}: its reply is wrong at ${issuePath(issue)}: ${issue.message}`);
      }
      const message = { parameters: checked.output, ...(continues ? { continues: true } : {}) };
      await this.context.socket.send(message, attached);
    } finally {
      closeAll(attached);
    }
  }

  /** Closes what nobody took or sent. */
  dispose(): void {
    closeAll(this.attached);
    for (const descriptor of this.owned) descriptor?.close();
  }
}

function findMethod(envelope: CallEnvelope, services: ReadonlyMap<string, Service>) {
  const { interfaceName, memberName, method } = envelope;
  const service = services.get(interfaceName);
  if (service === undefined) throw serviceError.interfaceNotFound(interfaceName);
  const found = service.find(memberName);
  if (found === null) throw serviceError.methodNotFound(method);
  if (found.handler === null) throw serviceError.methodNotImplemented(method);
  return { method: found.method, handler: found.handler };
}

function checkParameters(envelope: CallEnvelope, method: MethodDefinition): unknown {
  // Names like "constructor", which every object has, must not pass for parameters of the method.
  const inherited = Object.keys(envelope.parameters).find((name) => name in Object.prototype);
  if (inherited !== undefined) throw serviceError.invalidParameter(inherited);
  const checked = safeParse(method.parameters, envelope.parameters, { abortEarly: true });
  if (!checked.success) throw serviceError.invalidParameter(issuePath(checked.issues[0]));
  if (method.streaming === 'must' && !envelope.more) throw serviceError.expectedMore();
  return checked.output;
}

async function run(envelope: CallEnvelope, frame: Frame, context: CallContext): Promise<void> {
  let call: ServedCall | null = null;
  try {
    const { method, handler } = findMethod(envelope, context.services);
    const parameters = checkParameters(envelope, method);
    call = new ServedCall(envelope, frame, method, context);
    await call.send(await handler(parameters, call), false);
  } finally {
    if (call === null) closeAll(frame.descriptors);
    else call.dispose();
  }
}

function answerFor(error: unknown, method: string, context: CallContext): VarlinkError {
  if (error instanceof VarlinkError) return error;
  const translated = context.translate(error, method);
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  context.log(translated === null ? 'error' : 'warning', `${method} failed`, { method, error: text });
  return translated ?? serviceError.internalError(method);
}

/**
 * Runs one call to its last reply. Never rejects: what goes wrong is answered, or logged if it cannot be.
 *
 * @param frame holds the call's descriptors, which are closed in any case unless the handler takes them
 */
export async function serveCall(envelope: CallEnvelope, frame: Frame, context: CallContext): Promise<void> {
  const { method, oneway } = envelope;
  try {
    await run(envelope, frame, context);
  } catch (error) {
    if (context.socket.closed && (error instanceof ConnectionLost || context.signal.aborted)) return;
    const answer = answerFor(error, method, context);
    if (oneway) {
      context.log('info', `${method} failed, and its caller takes no reply`, { method, error: answer.error });
      return;
    }
    // A caller that vanishes meanwhile is no failure of the service.
    await context.socket.send({ error: answer.error, parameters: answer.parameters }).catch(() => undefined);
  }
}
