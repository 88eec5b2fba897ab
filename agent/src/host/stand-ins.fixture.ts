// SPDX-License-Identifier: Apache-2.0
/** Sockets on which this process stands in for others: what the agent asks about the other end is answered for them. */
import { realpathSync } from 'node:fs';
import { native, type Sockets } from '@luo-console/native';

/** The sockets of the real face, on which the other end of some paths is taken for another process. @param peers by path */
export function standIns(peers: ReadonlyMap<string, number>): Sockets {
  const { sockets } = native;
  const paths = new WeakMap<object, string>();
  return {
    ...sockets,
    listenUnix: (path, options) => {
      const listening = sockets.listenUnix(path, options);
      paths.set(listening, path);
      return listening;
    },
    connectUnix: (path) => {
      const connection = sockets.connectUnix(path);
      // As the agent reaches it, through the root of a process.
      paths.set(connection, realpathSync(path));
      return connection;
    },
    accept: (listening) => {
      const connection = sockets.accept(listening);
      const path = typeof listening === 'object' ? paths.get(listening) : undefined;
      if (connection !== null && path !== undefined) paths.set(connection, path);
      return connection;
    },
    recordFrom: (listening, pid, ...into) => {
      const path = typeof listening === 'object' ? paths.get(listening) : undefined;
      // Who will connect may not be known yet.
      const stands = path !== undefined && (peers.get(path) ?? pid) === pid;
      return sockets.recordFrom(listening, stands ? process.pid : pid, ...into);
    },
    peerCredentials: (socket) => {
      const credentials = sockets.peerCredentials(socket);
      const path = typeof socket === 'object' ? paths.get(socket) : undefined;
      const pid = path === undefined ? undefined : peers.get(path);
      return pid === undefined ? credentials : { ...credentials, pid };
    },
  };
}
