// SPDX-License-Identifier: Apache-2.0
/**
 * Errors on their way to the page. The console's own are thrown as `ConsoleError`; the agent's keep their own
 * names. Everything else becomes `Failed` with its message alone, because a stack is for the log.
 */
import type { ConsoleErrors } from './bridge.generated.ts';
import type { BridgeFailure } from './window.ts';

const prefix = 'io.luoconsole.Console.';

/** An error of the console's interface. `message` is one sentence for a person. */
export class ConsoleError<E extends keyof ConsoleErrors = keyof ConsoleErrors> extends Error {
  readonly error: string;
  readonly parameters: ConsoleErrors[E];

  constructor(name: E, parameters: ConsoleErrors[E], message: string) {
    super(message);
    this.name = 'ConsoleError';
    this.error = `${prefix}${name}`;
    this.parameters = parameters;
  }
}

/** Whether `error` is the console's own error called `name`. */
export function isConsoleError<E extends keyof ConsoleErrors>(
  error: unknown,
  name: E,
): error is ConsoleError<E> {
  return error instanceof ConsoleError && error.error === `${prefix}${name}`;
}

/** An `InvalidValue` error: which parameter, what it was, what was expected. */
export function invalidValue(
  parameter: string,
  value: unknown,
  expected: string,
): ConsoleError<'InvalidValue'> {
  const shown = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  const message = `${parameter} is ${JSON.stringify(shown)}; expected ${expected}`;
  return new ConsoleError('InvalidValue', { parameter, value: shown, expected }, message);
}

interface Named {
  readonly error: string;
  readonly parameters: Record<string, unknown>;
  readonly message: string;
}

function isNamed(error: unknown): error is Named {
  return (
    error instanceof Error &&
    'error' in error &&
    typeof error.error === 'string' &&
    'parameters' in error &&
    typeof error.parameters === 'object' &&
    error.parameters !== null
  );
}

/** What crosses to the page for `error`: Varlink errors keep their name and parameters. */
export function toFailure(error: unknown): BridgeFailure {
  if (isNamed(error)) {
    return { error: error.error, parameters: { ...error.parameters }, message: error.message };
  }
  const reason = error instanceof Error ? error.message : String(error);
  return { error: `${prefix}Failed`, parameters: { reason }, message: reason };
}
