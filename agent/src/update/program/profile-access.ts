// SPDX-License-Identifier: Apache-2.0
/**
 * Whether a profile of AppArmor lets a VMM listen where it is given its state. One that does not would have every start
 * of the VMM fail, and only in the next kernel. So the kernel is asked, which has a file for such questions.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { incomingSocketsIn } from '../../adoption/taking-in.ts';
import { carrierDirectory } from '../../host/carrier-places.ts';
import { errnoOf } from '../../host/refusal.ts';
import { saidBy } from '../../host/said-by.ts';
import { type Profile, profileText } from '../../host/security-label.ts';
import { seenBy } from '../../host/seen-by.ts';
import { runtimeDirectory } from '../../interface/places.ts';

/** A VMM's sockets where the carrier brings it back, and where the agent has the carrier do so. */
const usualSockets: readonly string[] = [
  `${carrierDirectory}/0`,
  `${runtimeDirectory}/handing-over/0/0`,
].flatMap((directory) => Object.values(incomingSocketsIn(directory)));

/** AA_CLASS_FILE, AA_MAY_WRITE and AA_MAY_CREATE (security/apparmor/include/apparmor.h, perms.h). */
const [fileClass, writeAndCreate] = [2, 0x12];
/** More than any answer has. */
const mostBytes = 256;

/**
 * @param sockets what its VMM would make under it; those of an update if nothing else is given
 * @returns why its VMM could not be started under it, in words; null if nothing is known that keeps it from being
 */
export async function profileObstacle(
  proc: string,
  profile: Profile,
  sockets: readonly string[] = usualSockets,
): Promise<string | null> {
  // What is not allowed is only logged.
  if (profile.mode === 'complain') return null;
  const shown = profileText(profile);
  const what = sockets === usualSockets ? 'it would be given its state' : 'it would be rehearsed';
  try {
    for (const path of sockets) {
      const allowed = await allowedAt(proc, profile.name, path);
      if (allowed === null) return `its security profile ${shown} is not loaded any more`;
      if ((allowed & writeAndCreate) !== writeAndCreate)
        return `its security profile ${shown} does not let it make ${path}, where ${what}`;
    }
    return null;
  } catch (error) {
    return `what its security profile ${shown} allows cannot be asked: ${errnoOf(error) ?? saidBy(error)}`;
  }
}

/**
 * Asks once: a question is written, and then the answer is read (`query_label`, security/apparmor/apparmorfs.c).
 *
 * @returns bits; null if no profile of this name is loaded
 * @throws SystemError
 */
async function allowedAt(proc: string, name: string, path: string): Promise<number | null> {
  // Through process 1: /sys is read-only to the agent itself.
  const file = await open(seenBy(proc, 1, '/sys/kernel/security/apparmor/.access'), constants.O_RDWR);
  try {
    const question = `label\0${name}\0${String.fromCharCode(fileClass)}${path}`;
    const asked = await file.write(Buffer.from(question, 'latin1')).catch((error: unknown) => ({ error }));
    if ('error' in asked) {
      if (errnoOf(asked.error) === 'ENOENT') return null;
      throw asked.error;
    }
    const { buffer, bytesRead } = await file.read(Buffer.alloc(mostBytes), 0, mostBytes, null);
    const allowed = /allow 0x([0-9a-f]{8})\n/.exec(buffer.toString('latin1', 0, bytesRead))?.[1];
    if (allowed === undefined) throw new Error('the answer is none');
    return Number.parseInt(allowed, 16);
  } finally {
    await file.close();
  }
}
