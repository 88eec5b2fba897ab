// SPDX-License-Identifier: Apache-2.0
/**
 * Failures of a call and of a connection.
 *
 * A `VarlinkError` is an answer: the other side understood the call and says why not. `ConnectionLost` and
 * `ProtocolError` are the end of a connection; after them nothing is known about calls that were under way.
 */

const serviceInterface = 'org.varlink.service';

/** An error reply: a qualified name, for example `io.luoconsole.Agent.SessionNotFound`, and its parameters. */
export class VarlinkError extends Error {
  readonly error: string;
  readonly parameters: Readonly<Record<string, unknown>>;

  constructor(error: string, parameters: Readonly<Record<string, unknown>> = {}) {
    const details = Object.keys(parameters).length > 0 ? ` ${JSON.stringify(parameters)}` : '';
    super(`${error}${details}`);
    this.name = 'VarlinkError';
    this.error = error;
    this.parameters = parameters;
  }
}

/** The other side went away, or was left, before a call was answered. */
export class ConnectionLost extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ConnectionLost';
  }
}

/** The other side sent something that is not Varlink. The connection cannot go on. */
export class ProtocolError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ProtocolError';
  }
}

/** The errors every Varlink service may answer with (interface `org.varlink.service`). */
export const serviceError = {
  interfaceNotFound: (name: string) =>
    new VarlinkError(`${serviceInterface}.InterfaceNotFound`, { interface: name }),
  methodNotFound: (method: string) => new VarlinkError(`${serviceInterface}.MethodNotFound`, { method }),
  methodNotImplemented: (method: string) =>
    new VarlinkError(`${serviceInterface}.MethodNotImplemented`, { method }),
  /** @param parameter path of the parameter at fault, for example `steps[2].title` */
  invalidParameter: (parameter: string) =>
    new VarlinkError(`${serviceInterface}.InvalidParameter`, { parameter }),
  permissionDenied: () => new VarlinkError(`${serviceInterface}.PermissionDenied`),
  expectedMore: () => new VarlinkError(`${serviceInterface}.ExpectedMore`),
  /** A fault of the service itself; what it was stays in the service's log. */
  internalError: (method: string) => new VarlinkError(`${serviceInterface}.InternalError`, { method }),
};
