// SPDX-License-Identifier: Apache-2.0
/**
 * The cache: everything that takes long to make and can be made again. An entry is a directory named KIND-HASH. The
 * hash covers all that the entry is made from, so a changed input gives a new entry and never a stale one. An entry is
 * built in a sibling directory and renamed when it is whole. So an entry that exists is complete, even if a builder was
 * interrupted.
 */

import { createHash } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * The directory under which all cached things live.
 *
 * @param env the environment to read XDG_CACHE_HOME and HOME from
 * @returns `$XDG_CACHE_HOME/luo-console`, or `~/.cache/luo-console` where that variable is not set
 */
export function cacheRoot(env: NodeJS.ProcessEnv = process.env): string {
  const { XDG_CACHE_HOME, HOME } = env;
  return join(XDG_CACHE_HOME || join(HOME || homedir(), '.cache'), 'luo-console');
}

/**
 * The directory for state that must survive the cache being cleaned: the disks of lab hosts.
 *
 * @returns `$XDG_STATE_HOME/luo-console/lab`, or the same under `~/.local/state`
 */
export function stateRoot(env: NodeJS.ProcessEnv = process.env): string {
  const { XDG_STATE_HOME, HOME } = env;
  return join(XDG_STATE_HOME || join(HOME || homedir(), '.local/state'), 'luo-console/lab');
}

/**
 * A short digest over an ordered list of inputs.
 *
 * @param parts what the thing is made from; lengths are hashed too, so that ['ab','c'] and
 *   ['a','bc'] differ
 * @returns the first 12 hexadecimal digits of a SHA-256
 */
export function hashOf(parts: readonly (string | Buffer)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    hash.update(`${Buffer.byteLength(part)}:`);
    hash.update(part);
  }
  return hash.digest('hex').slice(0, 12);
}

/** Whether a path exists. Any error other than "not there" is thrown. */
export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/**
 * The cache entry of this name, built if it is not there. The caller holds a lock, so that nobody else builds it
 * meanwhile.
 *
 * @param entry absolute path of the entry
 * @param build fills the directory that it is given
 * @param refresh build it again even if it is there; the old one stays until the new one is whole
 * @returns `entry`
 */
export async function cached(
  entry: string,
  build: (directory: string) => Promise<void>,
  refresh = false,
): Promise<string> {
  if (!refresh && (await exists(entry))) {
    const now = new Date();
    await utimes(entry, now, now);
    return entry;
  }
  const partial = `${entry}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  try {
    await build(partial);
    await rm(entry, { recursive: true, force: true });
    await rename(partial, entry);
  } catch (error) {
    // Why the build failed is worth more than why its remains cannot be removed.
    await rm(partial, { recursive: true, force: true }).catch(() => {});
    throw error;
  }
  return entry;
}

/**
 * Removes old entries of a kind, and what interrupted builds of it left, so that the cache does not grow with every
 * change. The caller holds the lock under which that kind is built.
 *
 * @param root the directory that holds the entries
 * @param kind the name before the hash, such as `image-sid`
 * @param keep how many of the most recently used to leave
 */
export async function prune(root: string, kind: string, keep: number): Promise<void> {
  const pattern = new RegExp(`^${kind}-[0-9a-f]{12}(\\.partial)?$`);
  const found = (await readdir(root)).filter((name) => pattern.test(name));
  const partial = found.filter((name) => name.endsWith('.partial'));
  for (const name of partial) await rm(join(root, name), { recursive: true, force: true });
  const names = found.filter((name) => !partial.includes(name));
  const entries = await Promise.all(
    names.map(async (name) => ({ path: join(root, name), used: (await stat(join(root, name))).mtimeMs })),
  );
  entries.sort((one, other) => other.used - one.used);
  for (const entry of entries.slice(keep)) await rm(entry.path, { recursive: true, force: true });
}
