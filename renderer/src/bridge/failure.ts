// SPDX-License-Identifier: Apache-2.0
/**
 * One kind of error for all that can go wrong on the other side of the bridge. Electron lets only an Error's
 * message through, so the errors of console and agent arrive as plain objects. An Error that arrives was thrown by
 * the bridge and has no name from an interface.
 */

/** `name` is the error's short name in its interface (`SessionNotFound`), `parameters` its typed parameters. */
export class Failure extends Error {
  override readonly name: string;
  readonly parameters: Record<string, unknown>;

  constructor(name: string, parameters: Record<string, unknown>, message: string) {
    super(message);
    this.name = name;
    this.parameters = parameters;
  }

  /** Whether what was asked for was done all the same. */
  get wasDone(): boolean {
    return this.name === 'DoneNotRecorded';
  }

  /** A parameter as text, or an empty text. */
  text(parameter: string): string {
    const value = this.parameters[parameter];
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  }

  /** A parameter that is a list of texts, or none. */
  list(parameter: string): string[] {
    const value = this.parameters[parameter];
    return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fromRecord(value: Record<string, unknown>): Failure {
  const error = typeof value.error === 'string' ? value.error : 'Failed';
  const parameters = isRecord(value.parameters) ? value.parameters : {};
  const message = typeof value.message === 'string' ? value.message : error;
  return new Failure(error.split('.').at(-1) ?? error, parameters, message);
}

/** Makes a Failure of whatever was thrown or handed over as a reason. */
export function toFailure(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  if (isRecord(thrown) && typeof thrown.error === 'string') return fromRecord(thrown);
  return new Failure('Failed', {}, thrown instanceof Error ? thrown.message : String(thrown));
}
