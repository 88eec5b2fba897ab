// SPDX-License-Identifier: Apache-2.0
/** For what a process has opened a file. */

const modes = ['read', 'write', 'both'] as const;

/**
 * Reads it from the flags in `/proc/PID/fdinfo/FD`, which are octal (proc_pid_fdinfo(5)). The lowest two bits are the
 * access mode (`O_ACCMODE`, open(2)).
 *
 * @returns null if the text does not say
 */
export function accessMode(fdinfo: string): (typeof modes)[number] | null {
  const flags = /^flags:\s*([0-7]+)$/m.exec(fdinfo)?.[1];
  return flags === undefined ? null : (modes[Number.parseInt(flags, 8) & 3] ?? 'both');
}
