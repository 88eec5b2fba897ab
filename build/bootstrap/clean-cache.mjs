// SPDX-License-Identifier: Apache-2.0
//
// Removing the cache. Node 24 is in the cache too, so this runs under whatever Node npm itself runs
// under. Lab hosts run on images that lie in the cache: they are shut down first, by the lab where it
// can still run.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { lstat, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cacheRoot } from './cache.mjs';
import { nodeDirectory } from './node-runtime.mjs';

const TOP = join(dirname(new URL(import.meta.url).pathname), '../..');

/** Stops every lab host, removes the cache, and says what was removed. */
export async function cleanCache() {
  const root = cacheRoot();
  if (!existsSync(root)) return console.log(`${root}: nothing there`);
  stopHosts();
  for (const name of (await readdir(root)).sort()) {
    const path = join(root, name);
    const size = await sizeOf(path);
    await rm(path, { recursive: true, force: true, maxRetries: 3 });
    console.log(`removed ${path}  ${(size / 1e6).toFixed(1)} MB`);
  }
  await rm(root, { recursive: true, force: true });
}

function stopHosts() {
  const node = join(nodeDirectory(), 'bin/node');
  if (!existsSync(node) || !existsSync(join(TOP, 'node_modules/.package-lock.json'))) return;
  const lab = [join(TOP, 'lab/src/main.ts'), 'down', '--all'];
  const stopped = spawnSync(node, lab, { stdio: ['ignore', 'inherit', 'pipe'], encoding: 'utf8' });
  if (stopped.status !== 0) {
    throw new Error(`the lab hosts could not be stopped, so nothing was removed:\n${stopped.stderr}`);
  }
}

/**
 * @param {string} path
 * @returns {Promise<number>} bytes, counted as the files say, without following links
 */
async function sizeOf(path) {
  const facts = await lstat(path);
  if (!facts.isDirectory()) return facts.size;
  const names = await readdir(path);
  const sizes = await Promise.all(names.map((name) => sizeOf(join(path, name))));
  return sizes.reduce((sum, size) => sum + size, 0);
}
