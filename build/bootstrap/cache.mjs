// SPDX-License-Identifier: Apache-2.0
/**
 * The cache: everything that takes long to make and can be made again. An entry is a directory THING-HASH. The hash
 * covers all that it is made from, so a changed input gives a new entry and never a stale one. An entry is made beside
 * its place and renamed when it is whole, so an interruption leaves no half-made entry.
 */

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * The directory under which all cached things live.
 *
 * @param {NodeJS.ProcessEnv} [env] where XDG_CACHE_HOME and HOME are looked up
 * @returns {string} `$XDG_CACHE_HOME/luo-console`, or `~/.cache/luo-console` where that is not set
 */
export function cacheRoot(env = process.env) {
  return join(env['XDG_CACHE_HOME'] || join(env['HOME'] || homedir(), '.cache'), 'luo-console');
}

/**
 * A short digest over an ordered list of inputs.
 *
 * @param {readonly (string | Uint8Array)[]} parts lengths are hashed too: ['ab', 'c'] is not ['a', 'bc']
 * @returns {string} the first 12 hexadecimal digits of a SHA-256
 */
export function hashOf(parts) {
  const hash = createHash('sha256');
  for (const part of parts) {
    hash.update(`${Buffer.byteLength(part)}:`);
    hash.update(part);
  }
  return hash.digest('hex').slice(0, 12);
}

/**
 * The cache entry of this name, made if it is not there.
 *
 * @param {string} name THING-HASH
 * @param {(directory: string) => Promise<void>} make fills the empty directory it is given
 * @param {number} [keep] how many entries of this THING may stay, the most recently used; all if not given
 * @returns {Promise<string>} path of the finished entry
 */
export async function cached(name, make, keep) {
  const entry = join(cacheRoot(), name);
  if (existsSync(entry)) {
    const now = new Date();
    await utimes(entry, now, now);
    return entry;
  }
  await mkdir(cacheRoot(), { recursive: true });
  await removeAbandoned(name);
  const partial = `${entry}.partial-${process.pid}`;
  await mkdir(partial, { recursive: true });
  try {
    await make(partial);
    await rename(partial, entry);
  } catch (error) {
    // Someone else may have made the same thing meanwhile; theirs is as good as ours.
    if (!existsSync(entry)) throw error;
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  if (keep !== undefined) await removeOld(name, keep);
  return entry;
}

/**
 * Removes all but the most recently used entries of a thing.
 *
 * @param {string} name THING-HASH of one of them
 * @param {number} keep
 */
async function removeOld(name, keep) {
  const thing = name.slice(0, name.lastIndexOf('-') + 1);
  const names = (await readdir(cacheRoot())).filter(
    (other) => other.startsWith(thing) && /^[0-9a-f]{12}$/.test(other.slice(thing.length)),
  );
  const entries = await Promise.all(
    names.map(async (other) => {
      const path = join(cacheRoot(), other);
      return { path, used: (await stat(path)).mtimeMs };
    }),
  );
  entries.sort((one, other) => other.used - one.used);
  for (const { path } of entries.slice(keep)) await rm(path, { recursive: true, force: true });
}

/**
 * Removes what interrupted attempts at an entry have left.
 *
 * @param {string} name THING-HASH
 */
async function removeAbandoned(name) {
  for (const candidate of await readdir(cacheRoot())) {
    if (!candidate.startsWith(`${name}.partial-`)) continue;
    const maker = Number(candidate.slice(candidate.lastIndexOf('-') + 1));
    if (maker !== process.pid && existsSync(`/proc/${maker}`)) continue;
    await rm(join(cacheRoot(), candidate), { recursive: true, force: true });
  }
}
