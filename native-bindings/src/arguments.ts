// SPDX-License-Identifier: Apache-2.0
/**
 * Checking arguments before the kernel sees them.
 *
 * A wrong type is a `TypeError`, a value no call could take a `RangeError`; both name the argument, what was expected,
 * and what came. A value that the kernel itself judges (a descriptor that is not open, a name that is too long) is
 * passed on. The caller then gets the kernel's answer. A closed `Descriptor` is -1, which the kernel answers with
 * `EBADF`.
 */
import type { FdLike } from './face.ts';

const longestShown = 80;

/** A value as it is shown in an error message, shortened. */
function shown(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'string') {
    const text = JSON.stringify(value.slice(0, longestShown));
    return value.length > longestShown ? `${text}…` : text;
  }
  if (typeof value === 'number' || typeof value === 'boolean') return `${typeof value} ${value}`;
  if (typeof value === 'object') return `an object of ${value.constructor?.name ?? 'no class'}`;
  return `a ${typeof value}`;
}

export function wrongType(name: string, expected: string, value: unknown): TypeError {
  return new TypeError(`${name} must be ${expected}, not ${shown(value)}`);
}

function outOfRange(name: string, expected: string, value: unknown): RangeError {
  return new RangeError(`${name} must be ${expected}, not ${shown(value)}`);
}

/** An integer between `least` and `most`, both included. */
export function integerOf(value: unknown, name: string, least: number, most: number): number {
  const expected = `an integer from ${least} to ${most}`;
  if (typeof value !== 'number') throw wrongType(name, expected, value);
  if (!Number.isInteger(value) || value < least || value > most) throw outOfRange(name, expected, value);
  return value;
}

/** A bigint between `least` and `most`, both included. */
export function bigintOf(value: unknown, name: string, least: bigint, most: bigint): bigint {
  const expected = `a bigint from ${least} to ${most}`;
  if (typeof value !== 'bigint') throw wrongType(name, expected, value);
  if (value < least || value > most) throw outOfRange(name, expected, value);
  return value;
}

/** A number or bigint that `unit` divides. */
export function multipleOf<N extends number | bigint>(value: N, name: string, unit: number): N {
  if (BigInt(value) % BigInt(unit) !== 0n) throw outOfRange(name, `a multiple of ${unit}`, value);
  return value;
}

/** A token: any unsigned 64-bit number. */
export function tokenOf(value: unknown, name = 'token'): bigint {
  return bigintOf(value, name, 0n, 2n ** 64n - 1n);
}

/** Files of one row of requests; more than a process can have open (`/proc/sys/fs/nr_open` at its usual value). */
export const mostFiles = 2 ** 20;

/** Tokens for a row of requests, as many as there are files if that is given. */
export function tokensOf(value: unknown, count?: number): bigint[] {
  if (!Array.isArray(value)) throw wrongType('tokens', 'an array of bigints', value);
  if (value.length > mostFiles || (count !== undefined && value.length !== count)) {
    const expected = count === undefined ? `at most ${mostFiles}` : `${count}, one for each file`;
    throw new RangeError(`tokens must hold ${expected}, not ${value.length}`);
  }
  return value.map((item, index) => tokenOf(item, `tokens[${index}]`));
}

/** A position or size in a file, in bytes (the kernel's `loff_t`). */
export function offsetOf(value: unknown, name: string): bigint {
  return bigintOf(value, name, 0n, 2n ** 63n - 1n);
}

const mostFd = 2 ** 31 - 1;

/** The number of a descriptor given as a number or as a `Descriptor`; -1 for a closed `Descriptor`. */
export function fdOf(value: FdLike | unknown, name: string): number {
  if (typeof value === 'number') return integerOf(value, name, 0, mostFd);
  if (typeof value === 'object' && value !== null && 'fd' in value && typeof value.fd === 'number') {
    return integerOf(value.fd, name, -1, mostFd);
  }
  throw wrongType(name, 'a descriptor or its number', value);
}

/** Descriptors to send, with `most` the kernel's limit for one message. */
export function fdsOf(value: unknown, name: string, most: number): number[] {
  if (!Array.isArray(value)) throw wrongType(name, 'an array of descriptors', value);
  if (value.length > most) {
    throw new RangeError(`${name} must hold at most ${most} descriptors, not ${value.length}`);
  }
  return value.map((item, index) => fdOf(item, `${name}[${index}]`));
}

/** Text that survives the way to the kernel: no NUL, no half of a surrogate pair. */
export function textOf(value: unknown, name: string): string {
  if (typeof value !== 'string') throw wrongType(name, 'a string', value);
  if (value.includes('\0')) throw outOfRange(name, 'text without a NUL character', value);
  if (!value.isWellFormed()) throw outOfRange(name, 'well-formed Unicode text', value);
  return value;
}

/** Text of `most` bytes of UTF-8 at most. */
export function shortTextOf(value: unknown, name: string, most: number): string {
  const text = textOf(value, name);
  const bytes = Buffer.byteLength(text);
  if (bytes > most) {
    throw new RangeError(`${name} must be at most ${most} bytes of UTF-8, not ${bytes}: ${shown(text)}`);
  }
  return text;
}

/** Bytes: a `Uint8Array`, of which `Buffer` is one. */
export function bytesOf(value: unknown, name: string): Uint8Array {
  if (!(value instanceof Uint8Array)) throw wrongType(name, 'a Uint8Array', value);
  return value;
}

export function booleanOf(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw wrongType(name, 'a boolean', value);
  return value;
}

export function functionOf<F extends (...given: never[]) => unknown>(value: F, name: string): F {
  if (typeof value !== 'function') throw wrongType(name, 'a function', value);
  return value;
}

/** One of the keys of `table`; returns what stands there. */
export function choiceOf<T>(value: unknown, name: string, table: Readonly<Record<string, T>>): T {
  const expected = `one of ${Object.keys(table).join(', ')}`;
  if (typeof value !== 'string') throw wrongType(name, expected, value);
  const entry = Object.hasOwn(table, value) ? table[value] : undefined;
  if (entry === undefined) throw outOfRange(name, expected, value);
  return entry;
}

/** Options given as an object, of which only `known` members may be set: a misspelled one is an error. */
export function optionsOf<T extends object>(value: T | undefined, name: string, known: readonly string[]): T {
  if (value === undefined) return {} as T;
  if (typeof value !== 'object' || value === null) throw wrongType(name, 'an object', value);
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) {
      throw new TypeError(`${name} has no member ${JSON.stringify(key)}: expected ${known.join(', ')}`);
    }
  }
  return value;
}
