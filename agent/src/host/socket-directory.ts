// SPDX-License-Identifier: Apache-2.0
/**
 * Where the agent and a VMM meet on sockets. The VMM may run as any user and has to reach them, but the agent's umask
 * closes its files to everybody else. So each directory on the way gets its mode by chmod. Others may pass but not list
 * it, and nobody can guess the name of a meeting place.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Makes a directory for one meeting.
 *
 * @param parent made if it is not there
 * @param others what other users may do: `pass` to sockets of ours, or `make` their own, which they alone may remove
 * @returns its path
 */
export function makeMeetingPlace(parent: string, others: 'pass' | 'make'): string {
  mkdirSync(parent, { recursive: true });
  chmodSync(parent, 0o711);
  const directory = join(parent, randomBytes(8).toString('hex'));
  mkdirSync(directory);
  chmodSync(directory, others === 'make' ? 0o1733 : 0o711);
  return directory;
}
