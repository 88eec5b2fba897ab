// SPDX-License-Identifier: Apache-2.0
/**
 * Hosts for tests. Each carries the agent's package, begins freshly booted (from a snapshot, so nobody waits for the
 * boot), and is gone afterwards. With LUO_LAB_KEEP=NAME tests use the host of that name, which stays. It can be looked
 * at afterwards, and pushing a changed agent into it is quicker than building an image around it.
 */

import { type AgentClient, connectAgent } from '@luo-console/agent/client';
import { LabHost, pushAgent, type Suite, startHost } from '../../src/index.ts';
import { run } from './memory.ts';

export interface FreshHostOptions {
  /**
   * Whether the tests can use a host that is kept and has run others before. They can if all they leave behind ends
   * with a boot: processes, sessions, another kernel. Otherwise: what they leave or need, as the end of a sentence.
   */
  readonly reuse: true | string;
  /** Debian suite; sid if not given. */
  readonly suite?: Suite;
  /** Added to the kernel's command line. Such a host boots from cold. */
  readonly kernelArguments?: readonly string[];
}

/** A host that outlives the tests. */
class KeptHost extends LabHost {
  override async down(): Promise<void> {}
}

/** The agent's package, which was built before the tests. */
export function agentPackage(): string {
  const path = process.env['LUO_CONSOLE_DEB'];
  if (!path) throw new Error('LUO_CONSOLE_DEB is not set: run the lab tests with "npm test -- lab"');
  return path;
}

/**
 * A freshly booted host; one of this name left over from an interrupted run is removed first.
 *
 * @param name of the host, after `test-`
 * @throws Error when LUO_LAB_KEEP names a host, and these tests cannot use one that is kept
 */
export async function freshHost(name: string, options: FreshHostOptions): Promise<LabHost> {
  const { reuse, suite = 'sid', kernelArguments = [] } = options;
  const kept = process.env['LUO_LAB_KEEP'];
  if (!kept) {
    const fromSnapshot = kernelArguments.length === 0;
    const making = { suite, kernelArguments, fromSnapshot, deb: agentPackage(), fresh: true };
    return startHost({ ...making, name: `test-${name}` });
  }
  if (reuse !== true) {
    throw new Error(
      `LUO_LAB_KEEP=${kept}: these tests need a host to themselves (test-${name}), because ${reuse}; run them without it`,
    );
  }
  return keptHost(kept, suite);
}

/** The host of a name, with this source tree's agent, as freshly booted as the tests have to have it. */
async function keptHost(name: string, suite: Suite): Promise<LabHost> {
  await startHost({ name, suite, deb: agentPackage() });
  const host = new KeptHost(name);
  await pushAgent(host, agentPackage());
  if (await isClean(host)) return host;
  await host.powerCut();
  await host.powerOn();
  return host;
}

/** Whether a host runs the kernel that it boots, and nothing of other tests. */
async function isClean(host: LabHost): Promise<boolean> {
  const { status } = JSON.parse(await run(host, 'luocon --json status'));
  // Tests start what they need as transient units. The directory is made with the first.
  const directory = '/run/systemd/transient';
  const units = `! [ -d ${directory} ] || find ${directory} -name '*.service'`;
  return (
    status.phase === 'normal' &&
    status.sessions.length === 0 &&
    status.loadedKernel === null &&
    status.kernelRelease.endsWith('-a') &&
    (await run(host, units)) === ''
  );
}

/**
 * Has the host's agent wait less long for what machines need, here and in the next kernel. It is started again for that.
 *
 * @param seconds two minutes usually
 * @returns a client of it
 */
export async function waitForNeeds(
  host: LabHost,
  before: AgentClient,
  seconds: number,
): Promise<AgentClient> {
  before.close();
  const directory = '/etc/systemd/system/luo-console-agent.service.d';
  const setting = `[Service]\\nEnvironment=LUO_NEED_LIMIT=${seconds}\\n`;
  await run(host, `mkdir -p ${directory} && printf '${setting}' > ${directory}/needs.conf`);
  await run(host, 'systemctl daemon-reload && systemctl restart luo-console-agent');
  return await connect(host);
}

/** A client of the host's agent, through ssh. */
export function connect(host: LabHost, user = 'root'): Promise<AgentClient> {
  return connectAgent(`ssh://${user}@${host.sshAlias}`, { sshConfig: host.sshConfig });
}
