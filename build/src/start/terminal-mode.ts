// SPDX-License-Identifier: Apache-2.0
/**
 * The main job without a window: preserve memory in the lab host, replace its kernel, and see that the memory is the
 * same. All the work happens in the host and is journalled there, so this program may be interrupted at any time.
 * Started again, it goes on with what the host is doing. The kexec is announced a few seconds before it happens: the
 * last moment for somebody who reads along to abort it.
 */

import { type AgentClient, connectAgent } from '@luo-console/agent/client';
import type { KernelImage, Session, Status, Update } from '@luo-console/agent/interface';
import { ConnectionLost } from '@luo-console/agent/varlink';
import type { LabHost } from '@luo-console/lab';
import { showStep } from '../../bootstrap/terminal.mjs';
import { followToTheEnd, runPlan } from './follow.ts';
import { holdMemory } from './held-memory.ts';
import { compare, digestLines, outcomeLines, planLines, timelineLines, wayOutLines } from './report.ts';

/** Size in MiB of each memfd, by session. The names are ours to reuse. */
const memorySizes: Readonly<Record<string, readonly number[]>> = {
  'start-one': [64, 32, 16],
  'start-two': [32, 16],
};

/** Seconds between the announcement of the kexec and the kexec. */
const graceSeconds = 5;

function connectToHost(host: LabHost): Promise<AgentClient> {
  return connectAgent(`ssh://root@${host.sshAlias}`, { sshConfig: host.sshConfig });
}

/** Does some work as a step on display. */
async function step<Result>(
  name: string,
  work: (detail: (text: string) => void) => Promise<Result>,
): Promise<Result> {
  const shown = showStep(name, process.stdout);
  try {
    const result = await work(shown.detail);
    shown.done();
    return result;
  } catch (error) {
    shown.failed();
    throw error;
  }
}

interface Preserved {
  readonly sessions: readonly Session[];
  /** Digest under `SESSION TOKEN`. */
  readonly digests: ReadonlyMap<string, string>;
}

async function preserve(host: LabHost, agent: AgentClient): Promise<Preserved> {
  const { sessions: present } = await agent.call('ListSessions', {});
  for (const { name } of present.filter(({ name }) => name in memorySizes))
    await agent.call('CloseSession', { name });
  const held = await step('random memory in a process of the host', () =>
    holdMemory(host, Object.values(memorySizes).flat()),
  );
  const waiting = [...held.memfds];
  const digests = new Map<string, string>();
  for (const [name, sizes] of Object.entries(memorySizes)) {
    await step(`session ${name}: preserve ${sizes.length} memfds and take their digests`, async () => {
      await agent.call('CreateSession', { name });
      for (const memfd of waiting.splice(0, sizes.length)) {
        const { descriptor } = await agent.call('PreserveFromProcess', {
          session: name,
          pid: held.pid,
          fd: memfd.fd,
          label: `memory of process ${held.pid}`,
        });
        digests.set(`${name} ${descriptor.token}`, memfd.digest);
        await takeDigest(agent, name, descriptor.token);
      }
    });
  }
  const { sessions } = await agent.call('ListSessions', {});
  return { sessions: sessions.filter(({ name }) => name in memorySizes), digests };
}

/** The SHA-256 of a preserved descriptor, as the agent computes it now. */
async function takeDigest(agent: AgentClient, session: string, token: string): Promise<string> {
  for await (const { descriptor } of agent.stream('TakeDigest', { session, token })) {
    if (descriptor?.digest) return descriptor.digest;
  }
  throw new Error(`session ${session}, token ${token}: the agent took no digest`);
}

async function digestsNow(agent: AgentClient): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  const { sessions } = await agent.call('ListSessions', {});
  for (const { name, descriptors } of sessions.filter(({ name }) => name in memorySizes)) {
    for (const { token } of descriptors)
      digests.set(`${name} ${token}`, await takeDigest(agent, name, token));
  }
  return digests;
}

/** The kernel to move to: one that can take over from the running one, and is another. */
async function otherKernel(agent: AgentClient, running: string): Promise<KernelImage> {
  const { kernels } = await agent.call('ListKernels', {});
  const other = kernels.find(({ release, verdict }) => release !== running && verdict === 'compatible');
  if (other) return other;
  const seen = kernels.map(({ release, verdict }) => `${release} (${verdict})`).join(', ');
  throw new Error(`no kernel to move to from ${running}: the host has ${seen || 'none'}`);
}

function showEnd(update: Update): void {
  console.log(['', 'Timeline', ...timelineLines(update), '', ...outcomeLines(update)].join('\n'));
}

/** Stays with an update to its end, whether or not the host goes away meanwhile. The agent may be another then. */
async function follow(
  connection: Connection,
  { id, away }: { id: string; away: boolean },
  bootId: string,
): Promise<Update> {
  if (away) await connection.renewAfter(bootId);
  try {
    return await followToTheEnd(connection.agent, id);
  } catch (error) {
    if (away || !(error instanceof ConnectionLost)) throw error;
    return await follow(connection, { id, away: true }, bootId);
  }
}

/** The connection to the host's agent, which ends with every kernel. */
class Connection {
  readonly #host: LabHost;
  readonly #connect: (host: LabHost) => Promise<AgentClient>;
  agent: AgentClient;

  constructor(host: LabHost, connect: (host: LabHost) => Promise<AgentClient>, agent: AgentClient) {
    this.#host = host;
    this.#connect = connect;
    this.agent = agent;
  }

  /** Waits for the boot after this one, and connects again. */
  async renewAfter(bootId: string): Promise<void> {
    this.agent.close();
    await step('the host is away', async () => this.#host.waitForBoot(bootId));
    this.agent = await this.#connect(this.#host);
  }
}

/** Preserves, plans and runs. */
async function doTheJob(host: LabHost, connection: Connection, status: Status): Promise<number> {
  const { agent } = connection;
  const kernel = await otherKernel(agent, status.kernelRelease);
  const preserved = await preserve(host, agent);
  const { plan } = await agent.call('MakePlan', { kernel: kernel.path });
  console.log(['', ...planLines(plan), ''].join('\n'));
  if (!plan.runnable) {
    console.error('The plan cannot be run.');
    return 1;
  }
  console.log([...wayOutLines(host.name, graceSeconds), ''].join('\n'));
  const run = await runPlan(agent, plan.id, graceSeconds);
  const update = await follow(connection, run, status.bootId);
  showEnd(update);
  const after = await step('digests after the update', () => digestsNow(connection.agent));
  const compared = compare(preserved.sessions, preserved.digests, after);
  console.log(['', ...digestLines(compared), ''].join('\n'));
  console.log(`The host ${host.name} goes on. "npm run lab -- sh --name ${host.name}" opens a shell in it,`);
  console.log(`"npm run lab -- down --name ${host.name}" ends it.`);
  return update.outcome === 'updated' && compared.every(({ before, after }) => before === after) ? 0 : 1;
}

/**
 * Does the main job in the host and prints it as it happens. An update that is under way already is followed
 * instead.
 *
 * @param connect to the host's agent; by ssh, unless a test says otherwise
 * @returns the exit status: 0 if the kernel was replaced and every byte is the same
 */
export async function runInTerminal(host: LabHost, connect = connectToHost): Promise<number> {
  const connection = new Connection(host, connect, await connect(host));
  try {
    const { status } = await connection.agent.call('GetStatus', {});
    console.log(
      `${status.hostName}: Linux ${status.kernelRelease}, live update ${status.liveUpdate.availability}`,
    );
    if (status.progress === null) return await doTheJob(host, connection, status);
    console.log('A live update is under way; following it.');
    const update = await follow(connection, { id: status.progress.update, away: false }, status.bootId);
    showEnd(update);
    console.log('Start again for another one.');
    return update.outcome === 'updated' ? 0 : 1;
  } finally {
    connection.agent.close();
  }
}
