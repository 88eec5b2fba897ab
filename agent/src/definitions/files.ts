// SPDX-License-Identifier: Apache-2.0
/**
 * The files that describe machines: `NAME.json` in one directory. A file names the user whose rights the machine runs
 * with. So it counts only if nobody but root (or the user the agent runs as) could have written it. It must be a
 * regular file, no symbolic link, belong to one of these users, and be writable by nobody else.
 */
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Refusal } from '../host/refusal.ts';
import { openRegularFile } from '../host/regular-file.ts';
import { type Definition, definitionName, readDefinition } from './definition.ts';

/** Longest file that is read, in bytes. */
const longestFile = 64 * 1024;
const ending = '.json';
/** The most files that are listed: the first by name. */
const mostFiles = 1000;

/** A file with what it says, or why it cannot be used. */
export interface DefinitionFile {
  readonly name: string;
  readonly path: string;
  readonly definition: Definition | null;
  readonly problem: string | null;
}

/**
 * Reads the definition of a name.
 *
 * @param directory of the definitions
 * @param ownUid the user the agent runs as
 * @throws Refusal DefinitionNotFound, DefinitionInvalid
 */
export async function loadDefinition(directory: string, name: string, ownUid: number): Promise<Definition> {
  if (!definitionName.test(name)) throw new Refusal('DefinitionNotFound', { name });
  const path = join(directory, `${name}${ending}`);
  return readDefinition(await readTrusted(path, name, ownUid), path);
}

async function readTrusted(path: string, name: string, ownUid: number): Promise<string> {
  const refuse = (reason: string): never => {
    throw new Refusal('DefinitionInvalid', { path, reason });
  };
  await using file = await openRegularFile(path, 'refuse').catch((error: unknown) => {
    if (!(error instanceof Refusal) || error.refusal !== 'FileUnusable') throw error;
    const { errno, reason } = error.parameters as Refusal<'FileUnusable'>['parameters'];
    if (errno === 'ENOENT') throw new Refusal('DefinitionNotFound', { name });
    return refuse(reason);
  });
  const { uid, mode, size } = await file.stat();
  if (uid !== 0 && uid !== ownUid) return refuse(`it belongs to user ${uid}; expected root`);
  if ((mode & 0o022) !== 0) {
    const octal = (mode & 0o777).toString(8).padStart(4, '0');
    return refuse(`its mode is ${octal}; expected one that lets only the owner write, such as 0644`);
  }
  const tooLarge = (): never => refuse(`it is larger than ${longestFile} bytes`);
  if (size > longestFile) return tooLarge();
  // It may have grown since: one byte more tells.
  const { buffer, bytesRead } = await file.read(Buffer.alloc(longestFile + 1), 0, longestFile + 1, 0);
  return bytesRead > longestFile ? tooLarge() : buffer.toString('utf8', 0, bytesRead);
}

/**
 * All definitions, by name; also those that cannot be used, and files whose names cannot be a machine's.
 *
 * @returns nothing if there is no such directory
 */
export async function listDefinitions(directory: string, ownUid: number): Promise<DefinitionFile[]> {
  const files = (await readdir(directory).catch(() => [])).filter((file) => file.endsWith(ending)).sort();
  const found: DefinitionFile[] = [];
  for (const file of files.slice(0, mostFiles)) {
    const name = basename(file, ending);
    const path = join(directory, file);
    try {
      if (!definitionName.test(name)) {
        const reason = `its name is "${name}"; expected 1 to 40 of a-z, 0-9 and -, and then ${ending}`;
        throw new Refusal('DefinitionInvalid', { path, reason });
      }
      found.push({ name, path, definition: await loadDefinition(directory, name, ownUid), problem: null });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      // One that was removed since is not there.
      if (error.refusal !== 'DefinitionInvalid') continue;
      const { reason } = error.parameters as Refusal<'DefinitionInvalid'>['parameters'];
      found.push({ name, path, definition: null, problem: reason });
    }
  }
  return found;
}
