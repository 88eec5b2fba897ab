// SPDX-License-Identifier: Apache-2.0
/**
 * A machine's serial console: the Unix socket on which QEMU listens for whoever wants to sit at its first serial
 * port, as its command line has it. QEMU takes one client at a time and lets others wait without a word, so the
 * kernel's table of sockets is looked at before connecting, as for a monitor (`monitor.ts`).
 */
import type { Descriptor, Native } from '@luo-console/native';
import { commandLineOf } from '../host/process-files.ts';
import { errnoOf, Refusal } from '../host/refusal.ts';
import { unixSocketsOf } from '../host/unix-sockets.ts';
import { descriptorLinks } from './open-files.ts';

/** The value of a key among QEMU's options, where a doubled comma is one of the value. */
function option(text: string, key: string): string | null {
  for (const pair of text.replaceAll(',,', '\0').split(',')) {
    if (pair.startsWith(`${key}=`)) return pair.slice(key.length + 1).replaceAll('\0', ',');
  }
  return null;
}

const listens = (text: string): boolean =>
  /^(?:on|true|yes)$/.test(option(text, 'server') ?? '') || /,server(?:,|$)/.test(text);

/** Devices with a console behind a character device, as `-device` names them. */
const consoleDevices = /^(?:isa-serial|pci-serial|virtconsole|sclpconsole|spapr-vty)(?:,|$)/;

/**
 * The path of the socket of a machine's first serial port that has one.
 *
 * @param words of QEMU's command line
 * @returns null if it has none that listens on a socket in the file system
 */
export function serialConsoleOf(words: readonly string[]): string | null {
  const sockets = new Map<string, string>();
  for (const [index, word] of words.entries()) {
    const value = words[index + 1] ?? '';
    if (!/^--?chardev$/.test(word) || !value.startsWith('socket,') || !listens(value)) continue;
    const [id, path] = [option(value, 'id'), option(value, 'path')];
    if (id !== null && path !== null) sockets.set(id, path);
  }
  for (const [index, word] of words.entries()) {
    const value = words[index + 1] ?? '';
    if (/^--?serial$/.test(word)) {
      if (value.startsWith('chardev:')) return sockets.get(value.slice('chardev:'.length)) ?? null;
      if (value.startsWith('unix:') && listens(value)) return option(value.replace('unix:', 'path='), 'path');
    } else if (/^--?device$/.test(word) && consoleDevices.test(value)) {
      const path = sockets.get(option(value, 'chardev') ?? '');
      if (path !== undefined) return path;
    }
  }
  return null;
}

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
    // As its process sees it, which may have another root, or stand where a relative path begins.
    return native.sockets.connectUnix(
      `${proc}/${pid}/${path.startsWith('/') ? `root${path}` : `cwd/${path}`}`,
    );
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === null) throw error;
    return refuse(`its serial console, ${path}, cannot be connected to (${errno})`);
  }
}
