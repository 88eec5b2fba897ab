// SPDX-License-Identifier: Apache-2.0
/**
 * The test files that there are, and the stage of `npm test` that runs each. A file's name and folder say
 * which: nothing lists test files anywhere.
 */

import { readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** @typedef {'unit' | 'slow' | 'lab' | 'electron' | 'conformance' | 'faults'} TestStage a stage that consists of test files */

/**
 * @typedef {object} TestFile
 * @property {string} path from the top of the repository
 * @property {TestStage} stage
 */

const top = join(dirname(fileURLToPath(import.meta.url)), '../..');

/** Folders with no tests of ours in them. */
const passedOver = new Set(['node_modules', 'dist', '.git']);

/**
 * The stage of a test file.
 *
 * @param {string} path of any file
 * @returns {TestStage | undefined} undefined for a file that is no test
 */
export function stageOf(path) {
  if (path.endsWith('.slow.test.ts')) return 'slow';
  if (path.endsWith('.faults.test.ts')) return 'faults';
  if (path.endsWith('.test.ts')) return 'unit';
  if (!path.endsWith('.lab.ts')) return undefined;
  const folder = /(?:^|\/)lab\/test\/(electron|conformance)\//.exec(path)?.[1];
  return folder === 'electron' || folder === 'conformance' ? folder : 'lab';
}

/**
 * All test files, in alphabetical order.
 *
 * @param {string} [directory] where to look
 * @returns {TestFile[]}
 */
export function testFiles(directory = top) {
  /** @type {TestFile[]} */
  const found = [];
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory() && !passedOver.has(entry.name)) found.push(...testFiles(path));
    const stage = entry.isFile() ? stageOf(path) : undefined;
    if (stage !== undefined) found.push({ path: relative(top, path), stage });
  }
  return found.sort((one, other) => (one.path < other.path ? -1 : 1));
}
