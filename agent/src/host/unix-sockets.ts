// SPDX-License-Identifier: Apache-2.0
/**
 * Unix sockets of a process, from `/proc/PID/net/unix` (proc_pid_net(5)), which shows those of the network namespace
 * the process is in. An accepted socket carries the path of the listening one. So the table shows, without connecting,
 * whether a listening socket has a client and whether another one waits.
 */
import { readFile } from 'node:fs/promises';

export interface UnixSocket {
  /** 0 for a connection that was not accepted yet. */
  readonly inode: number;
  readonly listens: boolean;
  /** Null if it is not bound. An abstract name begins with `@`. */
  readonly path: string | null;
}

// SO_ACCEPTCON, include/linux/net.h: `__SO_ACCEPTCON`.
const accepts = 0x10000;

/** @returns nothing if the process is gone */
export async function unixSocketsOf(proc: string, pid: number): Promise<UnixSocket[]> {
  const text = await readFile(`${proc}/${pid}/net/unix`, 'utf8').catch(() => '');
  const sockets: UnixSocket[] = [];
  for (const line of text.split('\n').slice(1)) {
    const match = /^\S+: \S+ \S+ ([0-9A-Fa-f]+) \S+ \S+ +(\d+)(?: (.+))?$/.exec(line);
    if (!match) continue;
    const [, flags = '0', inode = '0', path = null] = match;
    sockets.push({ inode: Number(inode), listens: (Number.parseInt(flags, 16) & accepts) !== 0, path });
  }
  return sockets;
}
