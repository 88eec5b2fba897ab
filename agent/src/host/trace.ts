// SPDX-License-Identifier: Apache-2.0
/**
 * Log lines of level `debug` for each call of the kernel. Only loaded when somebody asked for that level, so that it
 * costs nothing while machines are stopped.
 */
import type { Native } from '@luo-console/native';
import type { Log } from './log.ts';
import { errnoOf } from './refusal.ts';
import { saidBy } from './said-by.ts';

/** Reading a clock or a fact changes nothing, and is done often. */
const unremarkable: ReadonlySet<PropertyKey> = new Set(['clock', 'counter', 'fileFacts', 'kexecLoaded']);

/** An argument as it is logged: a descriptor by its number, bytes by their length. */
function shown(argument: unknown): unknown {
  if (typeof argument === 'bigint') return String(argument);
  if (argument instanceof Uint8Array) return `${argument.byteLength} bytes`;
  if (Array.isArray(argument)) return argument.map(shown);
  if (typeof argument === 'object' && argument !== null && 'fd' in argument) return argument.fd;
  return argument;
}

/** The same calls, each with a line in the log when it has ended. */
function traced<Calls extends object>(calls: Calls, log: Log): Calls {
  return new Proxy(calls, {
    get(target, property) {
      const member: unknown = Reflect.get(target, property);
      if (typeof member !== 'function' || unremarkable.has(property)) return member;
      return (...parameters: unknown[]): unknown => {
        const told = (error?: unknown): void => {
          const result = error === undefined ? {} : { errno: errnoOf(error) ?? saidBy(error) };
          log('debug', 'kernel call', { call: String(property), arguments: shown(parameters), ...result });
        };
        try {
          const result: unknown = Reflect.apply(member, target, parameters);
          if (result instanceof Promise) result.then(() => told(), told);
          else told();
          return result;
        } catch (error) {
          told(error);
          throw error;
        }
      };
    },
  });
}

/** The addon with its calls for live update, memory and kexec logged. Sockets are left out: the log is read over one. */
export function tracedNative(native: Native, log: Log): Native {
  const { liveUpdate, memory, kernel } = native;
  return {
    ...native,
    liveUpdate: traced(liveUpdate, log),
    memory: traced(memory, log),
    kernel: traced(kernel, log),
  };
}
