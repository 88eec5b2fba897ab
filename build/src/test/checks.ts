// SPDX-License-Identifier: Apache-2.0
/**
 * Checks that are no tests: each is one program, which is quiet when it has nothing to complain about
 * and counts as one.
 */

import { runProgram } from '../../bootstrap/programs.mjs';
import { formatElapsed } from '../../bootstrap/terminal.mjs';
import { inRepository, repositoryTop } from '../places.ts';
import { ofCheck, type Tally } from './tally.ts';

export interface Check {
  readonly name: string;
  /** The program's script, from the top of the repository; run under the Node that runs us. */
  readonly script: string;
  readonly args: readonly string[];
  readonly cwd?: string;
}

/** Runs one check and says how it went; its output is shown only if it failed. */
export async function runCheck(check: Check): Promise<Tally> {
  const began = performance.now();
  const elapsed = (): string => formatElapsed(performance.now() - began);
  try {
    await runProgram(process.execPath, [inRepository(check.script), ...check.args], {
      cwd: check.cwd ?? repositoryTop,
      wholeOutput: true,
    });
    console.log(` ✓ ${check.name}  ${elapsed()}`);
    return ofCheck(check.name, true);
  } catch (error) {
    console.log(` ✗ ${check.name}  ${elapsed()}\n${error instanceof Error ? error.message : error}`);
    return ofCheck(check.name, false);
  }
}

/**
 * Runs checks, some of them at once.
 *
 * @param checks in any order
 * @param atOnce how many may run at the same time
 */
export async function runChecks(checks: readonly Check[], atOnce: number): Promise<Tally[]> {
  const waiting = [...checks];
  const tallies: Tally[] = [];
  const worker = async (): Promise<void> => {
    for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) {
      tallies.push(await runCheck(check));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return tallies;
}
