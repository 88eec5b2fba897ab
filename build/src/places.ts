// SPDX-License-Identifier: Apache-2.0
/** Where things are, in the repository and outside it. */

import { join } from 'node:path';

/** The top of the repository. */
export const repositoryTop = join(import.meta.dirname, '../..');

/** A path in the repository. */
export function inRepository(...parts: readonly string[]): string {
  return join(repositoryTop, ...parts);
}

/** The directory of the Node that runs us, with its headers in `include/node`. */
export const nodeDirectory = join(process.execPath, '../..');
