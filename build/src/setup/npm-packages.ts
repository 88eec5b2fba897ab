// SPDX-License-Identifier: Apache-2.0
/**
 * The npm packages, exactly as package-lock.json names them. After an installation npm leaves a record of it
 * (node_modules/.package-lock.json, written last). The step is done when the two agree. Install scripts are never run:
 * the two packages that must be compiled or downloaded have separate steps.
 */

import { readFile } from 'node:fs/promises';
import { npmCommand, runProgram } from '../../bootstrap/programs.mjs';
import { inRepository } from '../places.ts';
import type { Step } from '../step.ts';

interface LockedPackage {
  readonly version?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly optional?: boolean;
  readonly os?: readonly string[];
}

export interface Lock {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

/**
 * Whether what was installed is what the lock file asks for.
 *
 * @param lock contents of package-lock.json
 * @param installed contents of node_modules/.package-lock.json
 * @returns false if a package is missing, surplus, or of another version or integrity. An optional
 *   package may be absent: most of them are for other machines
 */
export function lockMatches(lock: Lock, installed: Lock): boolean {
  for (const [path, wanted] of Object.entries(lock.packages)) {
    if (!path.startsWith('node_modules/') && !path.includes('/node_modules/')) continue;
    const found = installed.packages[path];
    if (found === undefined) {
      if (wanted.optional) continue;
      return false;
    }
    if (found.version !== wanted.version || found.integrity !== wanted.integrity) return false;
    if (found.link !== wanted.link) return false;
  }
  return Object.keys(installed.packages).every((path) => path in lock.packages);
}

async function installed(): Promise<boolean> {
  try {
    const [lock, found] = await Promise.all(
      ['package-lock.json', 'node_modules/.package-lock.json'].map(
        async (name) => JSON.parse(await readFile(inRepository(name), 'utf8')) as Lock,
      ),
    );
    return lock !== undefined && found !== undefined && lockMatches(lock, found);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return false;
    throw error;
  }
}

/** npm packages of all workspaces. */
export const npmPackages: Step = {
  name: 'npm packages',
  isDone: installed,
  async run(detail) {
    const { program, args } = npmCommand(process.execPath);
    const options = { cwd: inRepository(), onLine: detail, wholeOutput: true };
    const quiet = ['--ignore-scripts', '--no-audit', '--no-fund'];
    await runProgram(program, [...args, 'ci', ...quiet], options);
    if (await installed()) return;
    throw new Error('node_modules is not what package-lock.json says, though npm reported success');
  },
};
