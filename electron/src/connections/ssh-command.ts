// SPDX-License-Identifier: Apache-2.0
/**
 * ssh's command lines, with the console's own patience in front: ssh takes the first value it is given of an
 * option. A host that replaces its kernel says nothing when it goes, and every second until that is noticed
 * is a second in which the window shows something that is no longer so.
 */
import { type SshAddress, sshForwardArguments, sshShellArguments } from '@luo-console/agent/client';

export interface Command {
  /** Found through `PATH`. */
  readonly file: string;
  readonly args: readonly string[];
}

const patience: readonly string[] = [
  ...['-o', 'ServerAliveInterval=2', '-o', 'ServerAliveCountMax=2'],
  // Includes the key exchange, which takes its time on a host that is just starting.
  ...['-o', 'ConnectTimeout=10'],
];

/** Forwards the host's agent to the socket at `socket`, which ssh makes. `sshConfig` replaces the person's own. */
export function forwardCommand(address: SshAddress, sshConfig: string | null, socket: string): Command {
  return { file: 'ssh', args: [...patience, ...sshForwardArguments(address, socket, { sshConfig })] };
}

/** A login shell on the host. */
export function shellCommand(address: SshAddress, sshConfig: string | null): Command {
  return { file: 'ssh', args: [...patience, ...sshShellArguments(address, { sshConfig })] };
}
