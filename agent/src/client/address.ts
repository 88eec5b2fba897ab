// SPDX-License-Identifier: Apache-2.0
/**
 * Where an agent is: `unix:/PATH` on this machine, or `ssh://[USER@]HOST[:PORT]` by way of ssh. Read by hand and
 * strictly, because parts of it end up on ssh's command line and, through the configuration of ssh, in shells.
 */
import { agentSocket } from '../interface/places.ts';

export interface UnixAddress {
  readonly kind: 'unix';
  readonly path: string;
}

export interface SshAddress {
  readonly kind: 'ssh';
  /** Null leaves it to ssh's configuration. */
  readonly user: string | null;
  /** A name (also one from ssh's configuration) or an address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number | null;
}

export type Address = UnixAddress | SshAddress;

/** An address that cannot be understood. The message names it and what was expected. */
export class AddressError extends Error {
  constructor(address: string, problem: string) {
    super(`address ${JSON.stringify(address)}: ${problem}`);
    this.name = 'AddressError';
  }
}

/** Bytes a Unix socket's path may have: `sun_path` without its NUL (unix(7)). */
const longestPath = 107;

const sshForm = /^ssh:\/\/(?:([^@]*)@)?(\[[^\]]*\]|[^:/@[\]]*)(?::([^/]*))?(\/.*)?$/s;

function parseUnix(text: string): UnixAddress {
  const path = text.slice('unix:'.length);
  if (!path.startsWith('/')) throw new AddressError(text, 'expected an absolute path after "unix:"');
  if (path.includes('\0')) throw new AddressError(text, 'expected a path without a NUL');
  if (Buffer.byteLength(path) > longestPath) {
    throw new AddressError(text, `its path is longer than the ${longestPath} bytes of a Unix socket`);
  }
  return { kind: 'unix', path };
}

function parsePort(text: string, port: string): number {
  const number = /^[0-9]{1,5}$/.test(port) ? Number(port) : 0;
  if (number < 1 || number > 65_535) throw new AddressError(text, `port "${port}": expected 1 to 65535`);
  return number;
}

function parseHost(text: string, host: string): string {
  if (host.startsWith('[')) {
    const inner = host.slice(1, -1);
    if (/^[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?$/.test(inner)) return inner;
    throw new AddressError(text, `host "${host}": expected an IPv6 address in the brackets`);
  }
  if (host === '') throw new AddressError(text, 'expected a host after "ssh://"');
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(host)) return host;
  throw new AddressError(
    text,
    `host "${host}": expected letters, digits, ".", "_" and "-", not starting with "-"`,
  );
}

function parseSsh(text: string): SshAddress {
  const match = sshForm.exec(text);
  if (match === null)
    throw new AddressError(text, 'expected ssh://[USER@]HOST[:PORT], an IPv6 address in brackets');
  const [, user, host = '', port, path] = match;
  if (path !== undefined && path !== '/') {
    throw new AddressError(
      text,
      `expected nothing after the host; the agent's socket is always ${agentSocket}`,
    );
  }
  if (user !== undefined && !/^[A-Za-z0-9_.+][A-Za-z0-9_.+-]*$/.test(user)) {
    throw new AddressError(
      text,
      `user "${user}": expected letters, digits, ".", "_", "+" and "-", not starting with "-"`,
    );
  }
  return {
    kind: 'ssh',
    user: user ?? null,
    host: parseHost(text, host),
    port: port === undefined ? null : parsePort(text, port),
  };
}

/**
 * @param text an address as people write it
 * @throws AddressError
 */
export function parseAddress(text: string): Address {
  if (text.startsWith('unix:')) return parseUnix(text);
  if (text.startsWith('ssh://')) return parseSsh(text);
  throw new AddressError(text, 'expected unix:/PATH or ssh://[USER@]HOST[:PORT]');
}
