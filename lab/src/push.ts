// SPDX-License-Identifier: Apache-2.0
/**
 * Putting another agent into a host that runs: copy its package, install it, wait until it answers. The service
 * manager keeps the agent's descriptors while it is restarted, so sessions and machines live on. A package
 * carries a hash of what it is made from, `Build-Inputs`, and one that the host has already is not installed again.
 */

import { basename } from 'node:path';
import { agentSocket } from '@luo-console/agent/places';
import { command } from './command.ts';
import type { LabHost } from './host.ts';
import { type OnProgress, silent, step } from './progress.ts';

/** What is needed of a host here. */
export type PushTarget = Pick<LabHost, 'name' | 'boot' | 'copyIn' | 'sh' | 'waitForBoot'>;

/** What ssh ends with when the connection breaks (ssh(1)). */
const sshFailed = 255;

// The placeholder is dpkg-query's.
const installedInputs = `dpkg-query -W -f '$` + `{Build-Inputs}' luo-console-agent`;

// The socket is there before the agent answers on it, and systemd holds the question until then.
const ask = `varlinkctl info ${agentSocket}`;

/** Runs a command that must succeed. */
async function must(host: PushTarget, line: string): Promise<void> {
  const { code, stdout, stderr } = await host.sh(line);
  if (code !== 0) throw new Error(`in ${host.name}: ${line}: exit status ${code}\n${stdout}${stderr}`);
}

/**
 * Installs the agent's package in a host, unless the host has the same one already, and waits until it answers.
 *
 * @param deb path of the package
 * @returns whether it had to be installed
 * @throws Error with what dpkg or systemd said when the package cannot be installed or its agent does not answer
 */
export async function pushAgent(
  host: PushTarget,
  deb: string,
  onProgress: OnProgress = silent,
): Promise<boolean> {
  const wanted = await command('dpkg-deb', ['--field', deb, 'Build-Inputs']);
  const { bootId } = await host.boot();
  let installed = await host.sh(installedInputs);
  if (installed.code === sshFailed) {
    // It has power and does not answer: an earlier run has left it in the middle of a kexec.
    await step(onProgress, `wait for the next kernel of ${host.name}`, () => host.waitForBoot(bootId));
    installed = await host.sh(installedInputs);
  }
  if (installed.stdout === wanted) return false;
  await step(onProgress, `install the agent in ${host.name}`, async (detail) => {
    const copy = `/run/${basename(deb)}`;
    await host.copyIn([deb], '/run');
    detail('unpacking');
    // It is a lab host: a power failure in the middle of this costs nothing.
    await must(host, `dpkg --force-unsafe-io --install ${copy} && rm ${copy}`);
    detail('waiting for its answer');
    await must(host, ask);
  });
  return true;
}
