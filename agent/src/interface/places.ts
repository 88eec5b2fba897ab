// SPDX-License-Identifier: Apache-2.0
/** Where the agent is and keeps things on its host, for the agent, its clients and the window. */

/** What ends with the boot: the socket, and the sockets of machines. Made by the package's tmpfiles.d. */
export const runtimeDirectory = '/run/luo-console';

/** The agent's socket on its host. The package's socket unit has the same path. */
export const agentSocket = `${runtimeDirectory}/io.luoconsole.Agent`;

/** The agent of this machine. */
export const localAddress = `unix:${agentSocket}`;

/** The journal, and what else is kept. The package's unit has the same as its StateDirectory. */
export const stateDirectory = '/var/lib/luo-console';
