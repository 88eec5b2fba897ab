// SPDX-License-Identifier: Apache-2.0
/** The way to a host, by its address. */
import { forwardCommand, parseAddress } from '../hosts/address.ts';
import type { HostEntry } from '../hosts/host-list.ts';
import type { Terminals } from '../terminals/terminals.ts';
import type { Clock } from './clock.ts';
import type { Connector } from './link.ts';
import { createLocalConnector } from './local-connector.ts';
import { createSshConnector } from './ssh-connector.ts';

/** @throws Error if the host's address is not one */
export function createConnector(host: HostEntry, terminals: Terminals, clock: Clock): Connector {
  const address = parseAddress(host.address);
  return address.kind === 'unix'
    ? createLocalConnector(address.path, clock)
    : createSshConnector({
        command: (socket) => forwardCommand(address, host.sshConfig, socket),
        terminals,
        clock,
      });
}
