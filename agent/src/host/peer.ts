// SPDX-License-Identifier: Apache-2.0
/**
 * Connections to a process that is known by its pid. A path alone leads to the first process that listened there.
 * The kernel keeps which one that was (SO_PEERCRED, unix(7)), so a stranger is found out at once.
 */
import type { Descriptor, FdLike, Native } from '@luo-console/native';

type Sockets = Native['sockets'];

/** A Unix socket that one process listens on, or should. */
export interface ProcessSocket {
  readonly sockets: Sockets;
  readonly path: string;
  readonly pid: number;
}

/** Another process than the expected one has the other end of a connection. */
export class Stranger extends Error {
  override readonly name = 'Stranger';
}

/**
 * Connects to a process.
 *
 * @throws SystemError of connect(2); Stranger if another process listens there, and the connection is closed
 */
export function connectToProcess({ sockets, path, pid }: ProcessSocket): Descriptor {
  const connection = sockets.connectUnix(path);
  const peer = peerPid(sockets, connection);
  if (peer === pid) return connection;
  connection.close();
  throw new Stranger(`process ${peer} listens at ${path} in place of process ${pid}`);
}

/** The process at the other end: who listened, or who connected. */
export const peerPid = (sockets: Sockets, connection: FdLike): number =>
  sockets.peerCredentials(connection).pid;
