// SPDX-License-Identifier: Apache-2.0
/** Hosts for tests: each begins from the image, carries the agent's package, and is gone afterwards. */

import { type AgentClient, connectAgent } from '@luo-console/agent/client';
import { type LabHost, type Suite, startHost } from '../../src/index.ts';

/** The agent's package, which whoever runs the tests has built. */
export function agentPackage(): string {
  const path = process.env['LUO_CONSOLE_DEB'];
  if (!path) throw new Error('LUO_CONSOLE_DEB is not set: run the lab tests with "npm test -- lab"');
  return path;
}

/** A host of this name with an empty disk; one left over from an interrupted run is removed first. */
export async function freshHost(
  name: string,
  suite: Suite = 'sid',
  kernelArguments: readonly string[] = [],
): Promise<LabHost> {
  return startHost({ name: `test-${name}`, suite, deb: agentPackage(), fresh: true, kernelArguments });
}

/** A client of the host's agent, through ssh. */
export function connect(host: LabHost, user = 'root'): Promise<AgentClient> {
  return connectAgent(`ssh://${user}@${host.sshAlias}`, { sshConfig: host.sshConfig });
}
