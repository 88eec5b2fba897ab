// SPDX-License-Identifier: Apache-2.0
/**
 * ssh's command line. `luocon` runs ssh in its own terminal, the console in a separate one. Either way ssh asks for
 * host keys, passphrases and second factors as it always does.
 */
import { agentSocket } from '../interface/places.ts';
import type { SshAddress } from './address.ts';

export interface SshOptions {
  /** A configuration file instead of the user's. */
  readonly sshConfig?: string | null;
}

/** ssh gives up on a host that has not answered for this many seconds, three times: a kexec closes no connection. */
const aliveSeconds = 5;

function commonArguments(address: SshAddress, { sshConfig = null }: SshOptions): string[] {
  return [
    ...(sshConfig === null ? [] : ['-F', sshConfig]),
    // A connection shared with others would outlive, or end with, somebody else's.
    ...['-o', 'ControlPath=none', '-o', 'ControlMaster=no'],
    ...[
      '-o',
      `ServerAliveInterval=${aliveSeconds}`,
      '-o',
      'ServerAliveCountMax=3',
      '-o',
      'ConnectTimeout=15',
    ],
    ...(address.user === null ? [] : ['-l', address.user]),
    ...(address.port === null ? [] : ['-p', String(address.port)]),
  ];
}

/** Comes last, so that ssh takes nothing in it for an option. */
function destination(address: SshAddress): string[] {
  return ['--', address.host];
}

/**
 * Arguments with which ssh forwards a socket of this machine to the agent's on the host, and does nothing else.
 * The socket appears when the host has let us in.
 *
 * @param localSocket path of the socket to be made, without a colon
 * @throws RangeError for a path with a colon, which ssh would take for the end of it
 */
export function sshForwardArguments(
  address: SshAddress,
  localSocket: string,
  options: SshOptions = {},
): string[] {
  if (localSocket.includes(':')) {
    throw new RangeError(`localSocket ${JSON.stringify(localSocket)}: expected a path without a colon`);
  }
  return [
    ...commonArguments(address, options),
    ...['-N', '-T', '-a', '-x', '-o', 'ExitOnForwardFailure=yes', '-o', 'StreamLocalBindUnlink=yes'],
    ...['-L', `${localSocket}:${agentSocket}`],
    ...destination(address),
  ];
}

/** Arguments with which ssh gives a login shell on the host in the terminal it is run in. */
export function sshShellArguments(address: SshAddress, options: SshOptions = {}): string[] {
  return [...commonArguments(address, options), '-t', ...destination(address)];
}
