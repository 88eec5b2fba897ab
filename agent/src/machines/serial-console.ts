// SPDX-License-Identifier: Apache-2.0
/**
 * A machine's serial console: the Unix socket on which QEMU listens for a client of its first serial port, as its
 * command line says. Connecting to it is `adoption/serial-console.ts`.
 */

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
