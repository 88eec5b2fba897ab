// SPDX-License-Identifier: Apache-2.0
/**
 * Where the agent and a VMM meet on sockets. The VMM may run as any user and has to get through to them, while
 * the agent's own files are for nobody else (its umask), so the directories on the way are opened by name: others
 * may pass, not look, and the name of each meeting place cannot be guessed.
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
