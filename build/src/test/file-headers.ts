// SPDX-License-Identifier: Apache-2.0
/**
 * Every source file begins with its licence, and says in a block comment on line 2 what it is for. This program
 * lists the files that do not, and fails if there are any. Generated files say how they are made instead.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { repositoryTop } from '../places.ts';

const sourceFile = /(?<!\.generated)\.(?:ts|mjs|js|svelte)$/;
const passedOver = new Set(['node_modules', 'dist', '.git', 'build/agent-package', 'native-bindings/build']);

/**
 * What is wrong with the header of a source file.
 *
 * @param path of the file; its ending tells the language
 * @param text the whole file
 * @returns the complaint, or undefined if there is none
 */
export function headerFault(path: string, text: string): string | undefined {
  const [licence = '', second = ''] = text.split('\n', 2);
  const [open, begin, close] = path.endsWith('.svelte') ? ['<!-- ', '<!-- ', ' -->'] : ['// ', '/**', ''];
  const expected = `${open}SPDX-License-Identifier: Apache-2.0${close}`;
  if (licence !== expected) return `line 1 is not "${expected}"`;
  if (!second.startsWith(begin)) return `line 2 does not begin a comment with "${begin.trim()}"`;
  return undefined;
}

/** Paths of all source files, from the top of the repository. */
function sourceFiles(directory = repositoryTop): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    const fromTop = relative(repositoryTop, path);
    if (entry.isDirectory()) {
      return passedOver.has(entry.name) || passedOver.has(fromTop) ? [] : sourceFiles(path);
    }
    return sourceFile.test(entry.name) ? [fromTop] : [];
  });
}

/** The complaint about each file that has no proper header. */
export function headerFaults(): string[] {
  return sourceFiles().flatMap((path) => {
    const fault = headerFault(path, readFileSync(join(repositoryTop, path), 'utf8'));
    return fault === undefined ? [] : [`${path}: ${fault}`];
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const faults = headerFaults();
  for (const fault of faults) console.error(fault);
  process.exitCode = faults.length > 0 ? 1 : 0;
}
