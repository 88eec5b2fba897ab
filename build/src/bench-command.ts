// SPDX-License-Identifier: Apache-2.0
/** `npm run bench`: the lab's benchmarks, of the agent's package of this source tree. */

import { measures } from './bench-arguments.ts';
import { packageAgent } from './package-agent.ts';
import { runWorkspace } from './workspace-command.ts';

/**
 * Runs a benchmark.
 *
 * @param args of `npm run bench --`
 * @returns its exit status
 */
export async function bench(args: readonly string[]): Promise<number> {
  if (measures(args)) process.env['LUO_CONSOLE_DEB'] ??= await packageAgent();
  return runWorkspace('lab/bench/main.ts', args);
}
