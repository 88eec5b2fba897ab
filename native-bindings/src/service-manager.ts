// SPDX-License-Identifier: Apache-2.0
/**
 * The service manager's two protocols, spoken directly. One is a datagram to `$NOTIFY_SOCKET` (sd_notify(3)). The other
 * hands in descriptors from number 3 on, with their names in the environment (sd_listen_fds(3)).
 *
 * The handed-in descriptors are taken once. Their variables are removed, so that a child process does not
 * take numbers for its own that mean something else there, and they become close-on-exec.
 */
import { fdsOf, textOf } from './arguments.ts';
import type { ServiceManager } from './face.ts';
import { addon } from './load.ts';
import { OwnedDescriptor } from './owned-descriptor.ts';
import { mostDescriptors } from './sockets.ts';

/** SD_LISTEN_FDS_START (sd_listen_fds(3)). */
const firstHandedIn = 3;

/** Bytes of an address in `sockaddr_un` (unix(7)). */
const longestAddress = 107;

const listenVariables = ['LISTEN_PID', 'LISTEN_PIDFDID', 'LISTEN_FDS', 'LISTEN_FDNAMES'];

function notifyAddress(): string | undefined {
  const { NOTIFY_SOCKET: address } = process.env;
  if (address === undefined || address === '') return undefined;
  if (!/^[/@]./.test(address) || Buffer.byteLength(address) > longestAddress) {
    throw new RangeError(
      `NOTIFY_SOCKET must be an absolute path or an abstract name (@…) of at most ${longestAddress} bytes, not ${address}`,
    );
  }
  return address;
}

/** The number of descriptors handed in to this process, 0 if they are for another. */
function countHandedIn(): number {
  const { LISTEN_PID: pid, LISTEN_FDS: count } = process.env;
  if (count === undefined || pid !== String(process.pid)) return 0;
  if (!/^\d{1,9}$/.test(count))
    throw new RangeError(`LISTEN_FDS must be a number of descriptors, not ${count}`);
  return Number(count);
}

export const serviceManager: ServiceManager = {
  notify(state, descriptors = []) {
    const text = textOf(state, 'state');
    const fds = fdsOf(descriptors, 'descriptors', mostDescriptors);
    const address = notifyAddress();
    if (address === undefined) return false;
    addon.serviceManager.notify(address, text, fds);
    return true;
  },

  takeListenFds() {
    const count = countHandedIn();
    const { LISTEN_FDNAMES: joined = '' } = process.env;
    const names = joined.split(':');
    for (const variable of listenVariables) delete process.env[variable];
    // All of them, before any is owned: a promise of too many must not make this the owner of other people's,
    // and one of absurdly many must not be believed.
    const numbers: number[] = [];
    while (numbers.length < count) {
      const fd = firstHandedIn + numbers.length;
      addon.descriptors.setCloseOnExec(fd, true);
      numbers.push(fd);
    }
    return numbers.map((fd, index) => {
      // sd_listen_fds_with_names(3) calls a descriptor without a name "unknown".
      const name = names[index] || 'unknown';
      return { name, descriptor: new OwnedDescriptor(fd, `takeListenFds (${name})`, 'outside') };
    });
  },
};
