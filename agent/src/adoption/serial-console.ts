// SPDX-License-Identifier: Apache-2.0
/**
 * Connecting to a machine's serial console. QEMU takes one client at a time and lets others wait without a word. So the
 * agent looks at the kernel's table of sockets before it connects, as for a monitor (`machines/monitor.ts`).
 */
import type { Descriptor, Native } from '@luo-console/native';
import { connectToProcess, Stranger } from '../host/peer.ts';
import { commandLineOf } from '../host/process-files.ts';
import { errnoOf, Refusal } from '../host/refusal.ts';
import { socketSeenBy } from '../host/seen-by.ts';
import { unixSocketsOf } from '../host/unix-sockets.ts';
import { descriptorLinks } from '../machines/open-files.ts';
import { serialConsoleOf } from '../machines/serial-console.ts';

/**
 * A connection to a machine's serial console.
 *
 * @param machine of which a refusal speaks
 * @throws Refusal MachineUnusable: it has no console on a socket, somebody is connected to it, or it does not answer
 */
export async function connectConsole(
  native: Native,
  proc: string,
  machine: { readonly pid: number; readonly name: string },
): Promise<Descriptor> {
  const { pid } = machine;
  const refuse = (reason: string): never => {
    throw new Refusal('MachineUnusable', { ...machine, reason });
  };
  const path = serialConsoleOf(await commandLineOf(proc, pid));
  if (path === null) return refuse('its command line has no serial port on a Unix socket that it listens on');
  const [links, all] = await Promise.all([descriptorLinks(proc, pid), unixSocketsOf(proc, pid)]);
  const own = new Set(links.map(({ name }) => name));
  const sockets = all.filter((socket) => socket.path === path);
  // The process must be the one that listens: a command line alone could lead to anybody.
  if (!sockets.some(({ listens, inode }) => listens && own.has(`socket:[${inode}]`)))
    return refuse(`it does not listen on its serial console, ${path}`);
  if (sockets.some((socket) => !socket.listens)) {
    return refuse(`somebody is connected to its serial console, ${path}, which takes one at a time`);
  }
  try {
    return connectToProcess({ sockets: native.sockets, path: socketSeenBy(proc, pid, path), pid });
  } catch (error) {
    if (error instanceof Stranger) return refuse(error.message);
    const errno = errnoOf(error);
    if (errno === null) throw error;
    return refuse(`its serial console, ${path}, cannot be connected to (${errno})`);
  }
}
