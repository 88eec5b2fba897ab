// SPDX-License-Identifier: Apache-2.0
/**
 * `npm run lab`: the lab's own command line, with the agent's package of this source tree for the hosts
 * that it makes.
 */

import { installsAgent } from './lab-arguments.ts';
import { packageAgent } from './package-agent.ts';
import { runWorkspace } from './workspace-command.ts';

/**
 * Runs the lab's command line.
 *
 * @param args of `npm run lab --`
 * @returns its exit status
 */
export async function lab(args: readonly string[]): Promise<number> {
  if (installsAgent(args)) process.env['LUO_CONSOLE_DEB'] ??= await packageAgent();
  return runWorkspace('lab/src/main.ts', args);
}
