// SPDX-License-Identifier: Apache-2.0
/**
 * Removes the cache. Node 24 is in the cache too, so this runs under npm's own Node. Lab hosts are not in the cache:
 * they have separate directories, and go on.
 */

import { existsSync } from 'node:fs';
import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheRoot } from './cache.mjs';

/** Removes the cache and says what was removed. */
export async function cleanCache() {
  const root = cacheRoot();
  if (!existsSync(root)) return console.log(`${root}: nothing there`);
  for (const name of (await readdir(root)).sort()) {
    const path = join(root, name);
    const size = await sizeOf(path);
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
    console.log(`removed ${path}  ${(size / 1e6).toFixed(1)} MB`);
  }
  await rm(root, { recursive: true, force: true });
}

/**
 * @param {string} path
 * @returns {Promise<number>} bytes on disk, without following links
 */
async function sizeOf(path) {
  const facts = await lstat(path);
  if (!facts.isDirectory()) return facts.blocks * 512;
  const names = await readdir(path);
  const sizes = await Promise.all(names.map((name) => sizeOf(join(path, name))));
  return sizes.reduce((sum, size) => sum + size, 0);
}
