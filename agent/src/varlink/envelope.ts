// SPDX-License-Identifier: Apache-2.0
/**
 * What stands around a call's parameters and a reply's: read by hand, because it is the first thing that
 * untrusted bytes meet. Only own properties count; `__proto__` in a message is a key like any other and is
 * never copied.
 */
import type { BaseIssue } from 'valibot';
import { ProtocolError } from './errors.ts';

type JsonObject = Readonly<Record<string, unknown>>;

export interface CallEnvelope {
  /** The interface's name; empty if the method's name has no dot. */
  readonly interfaceName: string;
  readonly memberName: string;
  readonly method: string;
  readonly parameters: JsonObject;
  readonly more: boolean;
  readonly oneway: boolean;
}

export interface ReplyEnvelope {
  readonly parameters: JsonObject;
  /** Whether another reply follows. */
  readonly continues: boolean;
  /** Qualified name of an error; null if it is none. */
  readonly error: string | null;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

function readObject(text: Buffer): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(text));
  } catch (error) {
    throw new ProtocolError('a message that is not JSON in UTF-8', { cause: error });
  }
  if (!isObject(value)) throw new ProtocolError('a message that is not a JSON object');
  return value;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function own(object: JsonObject, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function flag(object: JsonObject, key: string): boolean {
  const value = own(object, key);
  if (value === undefined || value === null) return false;
  if (typeof value !== 'boolean') throw new ProtocolError(`a message whose "${key}" is not true or false`);
  return value;
}

function parametersOf(object: JsonObject): JsonObject {
  const value = own(object, 'parameters');
  if (value === undefined || value === null) return {};
  if (!isObject(value)) throw new ProtocolError('a message whose "parameters" is not an object');
  return value;
}

/** @throws ProtocolError if it is not a call */
export function readCall(text: Buffer): CallEnvelope {
  const message = readObject(text);
  const method = own(message, 'method');
  if (typeof method !== 'string') throw new ProtocolError('a call without a "method"');
  const more = flag(message, 'more');
  const oneway = flag(message, 'oneway');
  if (more && oneway) throw new ProtocolError('a call that wants no reply and more than one');
  if (flag(message, 'upgrade')) throw new ProtocolError('a call that asks for another protocol ("upgrade")');
  const dot = method.lastIndexOf('.');
  return {
    interfaceName: method.slice(0, Math.max(dot, 0)),
    memberName: method.slice(dot + 1),
    method,
    parameters: parametersOf(message),
    more,
    oneway,
  };
}

/** @throws ProtocolError if it is not a reply */
export function readReply(text: Buffer): ReplyEnvelope {
  const message = readObject(text);
  const error = own(message, 'error') ?? null;
  if (error !== null && typeof error !== 'string')
    throw new ProtocolError('a reply whose "error" is not a name');
  return { parameters: parametersOf(message), continues: flag(message, 'continues'), error };
}

/** @returns where in the parameters an issue is, for example `steps[2].title`; `parameters` if it is all of them */
export function issuePath(issue: BaseIssue<unknown>): string {
  let path = '';
  for (const { key } of issue.path ?? []) {
    if (typeof key === 'number') path += `[${key}]`;
    else path += path === '' ? String(key) : `.${String(key)}`;
  }
  return path === '' ? 'parameters' : path;
}
