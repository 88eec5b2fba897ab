// SPDX-License-Identifier: Apache-2.0
/** The way to a host, to a shell on it and to the serial consoles of its machines, by its address. */
import { parseAddress } from '@luo-console/agent/client';
import type { HostEntry } from '../hosts/host-list.ts';
import type { Terminals } from '../terminals/terminals.ts';
import type { Clock } from './clock.ts';
import type { Connector } from './link.ts';
import { createLocalConnector } from './local-connector.ts';
import { type Command, forwardCommand, machineConsoleCommand, shellCommand } from './ssh-command.ts';
import { createSshConnector } from './ssh-connector.ts';

/** @throws AddressError if the host's address is not one */
export function createConnector(host: HostEntry, terminals: Terminals, clock: Clock): Connector {
  const address = parseAddress(host.address);
  if (address.kind === 'unix') return createLocalConnector(address.path, clock);
  const { sshConfig } = host;
  const command = (socket: string, seconds: number) =>
    forwardCommand({ address, sshConfig, socket, seconds });
  return createSshConnector({ command, terminals, clock });
}

/**
 * A login shell on the host: through ssh, or right here for an agent of this machine.
 *
 * @throws AddressError if the host's address is not one
 */
export function createShellCommand(host: HostEntry): Command {
  const address = parseAddress(host.address);
  if (address.kind === 'ssh') return shellCommand(address, host.sshConfig);
  return { file: process.env['SHELL'] || '/bin/sh', args: ['-l'] };
}

/**
 * The serial console of a machine on the host, by the process of its VMM: luocon asks the host's agent for it, through ssh
 * or right here.
 *
 * @throws AddressError if the host's address is not one
 */
export function createMachineConsoleCommand(host: HostEntry, pid: number): Command {
  const address = parseAddress(host.address);
  if (address.kind === 'ssh') return machineConsoleCommand(address, host.sshConfig, pid);
  return { file: 'luocon', args: ['--host', host.address, 'console', String(pid)] };
}
