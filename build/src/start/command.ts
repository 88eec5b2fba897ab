// SPDX-License-Identifier: Apache-2.0
//
// `npm start`: a lab host, and the console connected to it; or, without a display, the main job in the
// terminal. The host outlives this command, so that the next start is quick and nothing a person has
// preserved in it is lost by closing a window.

import { basename } from 'node:path';
import { type LabHost, startHost } from '@luo-console/lab';
import { type AgentPackage, buildAgentPackage } from '../package-agent.ts';
import { type Detail, runSteps } from '../setup/step.ts';
import { START_HELP, startArguments } from './options.ts';
import { runInTerminal } from './terminal-mode.ts';
import { openConsole } from './window.ts';

/** What ssh ends with when the connection breaks (ssh(1)). */
const SSH_FAILED = 255;

async function hostOf(name: string): Promise<LabHost> {
  let host: LabHost | undefined;
  await runSteps([
    {
      name: `lab host ${name}`,
      async run(detail) {
        const agent = await buildAgentPackage();
        host = await startHost({ name, deb: agent.path, onProgress: ({ step }) => detail(step) });
        await upgradeAgent(host, agent, detail);
      },
    },
  ]);
  if (host === undefined) throw new Error(`lab host ${name}: started, but there is no handle of it`);
  return host;
}

/** Installs this source tree's agent in a host that was made with another; its sessions stay. */
async function upgradeAgent(host: LabHost, agent: AgentPackage, detail: Detail): Promise<void> {
  // The placeholder is dpkg-query's.
  const query = `dpkg-query -W -f '$` + `{Build-Inputs}' luo-console-agent`;
  const { bootId } = await host.boot();
  let installed = await host.sh(query);
  if (installed.code === SSH_FAILED) {
    // It has power and does not answer: an earlier run has left it in the middle of a kexec.
    detail('waiting for the next kernel');
    await host.waitForBoot(bootId);
    installed = await host.sh(query);
  }
  if (installed.stdout === agent.inputs) return;
  detail('installing the current agent');
  await host.copyIn([agent.path], '/run');
  const { code, stdout, stderr } = await host.sh(`dpkg --install /run/${basename(agent.path)}`);
  if (code !== 0)
    throw new Error(`installing the agent in ${host.name}: exit status ${code}\n${stdout}${stderr}`);
}

/**
 * Starts the lab host and what is to be done with it.
 *
 * @param args of `npm start`
 * @returns the exit status
 */
export async function start(args: readonly string[]): Promise<number> {
  const { terminal, noDisplay, name, help } = startArguments(args);
  if (help) {
    process.stdout.write(START_HELP);
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
