// SPDX-License-Identifier: Apache-2.0
/** How the agent serves its interface: who may connect, how many at one time, and where. */
import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Descriptor, Native } from '@luo-console/native';
import type { Log } from '../host/log.ts';
import { errnoOf } from '../host/refusal.ts';
import { type Server, type Service, serve } from '../varlink/index.ts';
import { agentVersion } from '../version.ts';
import { type Authorisation, connections } from './roles.ts';

export interface ServeContext {
  readonly authorisation: Authorisation;
  readonly log: Log;
}

/**
 * Serves until it is closed.
 *
 * @param listening is the server's from now on
 */
export function serveCalls(
  { authorisation, log }: ServeContext,
  service: Service,
  listening: Descriptor,
): Server {
  return serve({
    listening,
    info: {
      vendor: 'LUO Console',
      product: 'luo-console-agent',
      version: agentVersion,
      url: 'https://varlink.org',
    },
    interfaces: [service],
    connectionLimit: connections,
    share: (peer) => authorisation.share(peer),
    // Every process may connect. Its identity is found out now; its rights are checked for each method.
    admit: (peer) => {
      authorisation.identify(peer).catch(() => {});
      return true;
    },
    log,
  });
}

/** A socket of our own. Replaces one that an earlier agent left there. */
export function listenAt(native: Native, path: string): Descriptor {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  try {
    // Only a socket that nobody answers may be removed.
    native.sockets.connectUnix(path).close();
  } catch (error) {
    if (errnoOf(error) === 'ECONNREFUSED') rmSync(path, { force: true });
  }
  return native.sockets.listenUnix(path, { mode: 0o666 });
}
