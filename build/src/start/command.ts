// SPDX-License-Identifier: Apache-2.0
/**
 * `npm start`: a lab host, and the console connected to it; or, without a display, the main job in the terminal. The
 * host outlives this command. So the next start is quick, and closing a window loses nothing that a person has
 * preserved in it.
 *
 * This folder is a client of the lab and of the agent, and builds nothing. It is here because it starts with
 * set-up, the agent's package and Electron, of which the lab knows nothing.
 */

import { type LabHost, type Progress, pushAgent, startHost } from '@luo-console/lab';
import { packageAgent } from '../package-agent.ts';
import { runSteps } from '../step.ts';
import { startArguments, startHelp } from './options.ts';
import { runInTerminal } from './terminal-mode.ts';
import { openConsole } from './window.ts';

async function hostOf(name: string): Promise<LabHost> {
  let host: LabHost | undefined;
  await runSteps([
    {
      name: `lab host ${name}`,
      async run(detail) {
        const deb = await packageAgent();
        const onProgress = ({ step }: Progress): void => detail(step);
        host = await startHost({ name, deb, onProgress });
        await pushAgent(host, deb, onProgress);
      },
    },
  ]);
  if (host === undefined) throw new Error(`lab host ${name}: started, but there is no handle of it`);
  return host;
}

/**
 * Starts the lab host and its client.
 *
 * @param args of `npm start`
 * @returns the exit status
 */
export async function start(args: readonly string[]): Promise<number> {
  const { terminal, noDisplay, name, help } = startArguments(args);
  if (help) {
    process.stdout.write(startHelp);
    return 0;
  }
  const host = await hostOf(name);
  if (!terminal) return openConsole(host);
  if (noDisplay)
    console.log(
      'There is no display (DISPLAY and WAYLAND_DISPLAY are not set), so this runs in the terminal.',
    );
  return runInTerminal(host);
}
