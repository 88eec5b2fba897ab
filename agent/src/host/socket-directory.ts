// SPDX-License-Identifier: Apache-2.0
/**
 * Where the agent and a VMM meet on sockets. Each meeting has a directory that only the VMM's user may enter. Its name is
 * no secret, for everybody can read the VMM's command line. The agent is root and may enter it all the same. The agent's
 * umask closes what it makes, so every directory gets its mode by chmod.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Makes a directory for one meeting.
 *
 * @param parent made if it is not there; others may pass through it, but not list it
 * @param user whom the VMM runs as: the directory is theirs. Null for one that stays the agent's: others may pass
 *   through it to what is theirs in there
 * @param purpose what its name begins with, so that it is found again
 * @returns its path
 * @throws SystemError, EPERM from a process that may not give files away
 */
export function makeMeetingPlace(
  parent: string,
  user: { readonly uid: number; readonly gid: number } | null,
  purpose = '',
): string {
  mkdirSync(parent, { recursive: true });
  chmodSync(parent, 0o711);
  const directory = join(parent, `${purpose}${randomBytes(8).toString('hex')}`);
  mkdirSync(directory, { mode: 0o700 });
  // Before it is given away: changing the mode of another's directory takes one more capability (chmod(2)).
  chmodSync(directory, user === null ? 0o711 : 0o700);
  if (user !== null) chownSync(directory, user.uid, user.gid);
  return directory;
}

/**
 * Removes the directories that were made for a purpose, with what is in them. The VMM's user owns that, and this follows no
 * link that is put there meanwhile.
 *
 * @param parent where they are, if it is there
 * @param purpose what their names begin with
 * @param isUsed whether one is still needed, by its path
 * @throws SystemError
 */
export function removeMeetingPlaces(
  parent: string,
  purpose: string,
  isUsed: (path: string) => boolean = () => false,
): void {
  const names = existsSync(parent) ? readdirSync(parent) : [];
  for (const path of names.filter((name) => name.startsWith(purpose)).map((name) => join(parent, name)))
    if (!isUsed(path)) rmSync(path, { recursive: true, force: true });
}
