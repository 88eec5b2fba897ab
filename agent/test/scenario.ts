// SPDX-License-Identifier: Apache-2.0
/** Steps that many tests take. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Descriptor, native } from '@luo-console/native';
import type { AgentClient } from '../src/client/index.ts';
import type { Entry, FailurePolicy, Plan, Update } from '../src/interface/agent.generated.ts';
import type { MadeUpHost } from './made-up-host.ts';

/** A memfd with some text in it. The caller closes it. */
export function memfdWith(text: string): Descriptor {
  const file = native.memory.memfdCreate(text.slice(0, 32));
  native.memory.truncate(file, BigInt(Buffer.byteLength(text)));
  native.memory.write(file, 0n, Buffer.from(text));
  return file;
}

/** Preserves a memfd with a text, which is its label too. */
export async function preserveText(
  client: AgentClient,
  session: string,
  text: string,
  token?: string,
): Promise<void> {
  using file = memfdWith(text);
  await preserve(client, session, file, text, token);
}

/** Preserves a file that the caller keeps. */
export async function preserve(
  client: AgentClient,
  session: string,
  file: Descriptor,
  label: string,
  token?: string,
): Promise<void> {
  const wanted = token === undefined ? {} : { token };
  await client.exchange('PreserveDescriptor', { session, fileDescriptor: 0, label, ...wanted }, [file]);
}

/** The text under a token, read through a descriptor the agent hands out. */
export async function contentOf(client: AgentClient, session: string, token: string): Promise<string> {
  const { descriptors } = await client.exchange('FetchDescriptor', { session, token });
  const [file] = descriptors;
  if (!file) throw new Error('no descriptor came with the reply');
  const { size } = native.memory.fileFacts(file);
  const text = native.memory.read(file, 0n, Number(size)).toString();
  for (const descriptor of descriptors) descriptor.close();
  return text;
}

export interface RunWish {
  /** A plan made before; a new one if none is given. */
  readonly plan?: Plan;
  readonly graceSeconds?: number;
  /** Where to stop following: at the reboot call, once the kexec is announced and waits, or at the end. */
  readonly wait?: 'kexec' | 'announced' | 'settled';
}

/** What a plan is made with beside the kernel. */
interface PlanWish {
  /** Machines, by pid, to be left behind. */
  readonly leave?: number[];
  readonly ifMachineFails?: FailurePolicy;
  readonly stopLimitSeconds?: number;
  /** Of the next kernel. */
  readonly commandLine?: string;
}

/** A plan of an update into the other kernel. */
export async function planOf(host: MadeUpHost, client: AgentClient, wish: PlanWish = {}): Promise<Plan> {
  const kernel = `${host.paths.boot}/vmlinuz-7.3.4-b`;
  return (await client.call('MakePlan', { kernel, ...wish })).plan;
}

/** What the journal has of this name about an update, oldest first. */
export async function entriesOf(client: AgentClient, name: string, update: string): Promise<Entry[]> {
  return (await client.call('QueryJournal', { name, update, limit: 1000 })).entries.reverse();
}

/** Plans an update into the other kernel and runs it. @returns the update's id */
export async function runToKexec(host: MadeUpHost, client: AgentClient, wish: RunWish = {}): Promise<string> {
  const { wait = 'kexec', graceSeconds = 0 } = wish;
  const plan = wish.plan ?? (await planOf(host, client));
  if (!plan.runnable) throw new Error(`not runnable: ${JSON.stringify(plan.checks)}`);
  const asked = host.kexecAsked();
  const stop = new AbortController();
  const follow = async (): Promise<void> => {
    const parameters = { plan: plan.id, graceSeconds };
    for await (const { progress } of client.stream('RunUpdate', parameters, { signal: stop.signal })) {
      if (wait === 'announced' && progress.graceEndsAtUs !== null) return;
    }
  };
  const following = follow();
  following.catch(() => {});
  await (wait === 'kexec' ? Promise.race([asked, following]) : following);
  stop.abort();
  const { status } = await client.call('GetStatus', {});
  if (status.lastUpdate === null) throw new Error('the update left no trace');
  return status.lastUpdate;
}

/** Starts the agent of this boot and waits until it has settled what it found. */
export async function startSettled(host: MadeUpHost): Promise<AgentClient> {
  const client = await host.start();
  await host.agent?.settled;
  return client;
}

/** Goes over into the next kernel; the newest update is the one that brought the host there. */
export async function arriveInNextKernel(host: MadeUpHost): Promise<{ client: AgentClient; update: Update }> {
  host.becomeNextKernel();
  const client = await startSettled(host);
  const [update] = (await client.call('ListUpdates', {})).updates;
  if (!update) throw new Error(`no update was settled: ${host.log.join('\n')}`);
  return { client, update };
}

/**
 * Has rehearsals do what a carrier would say in its log.
 *
 * @param events of the machine, with their texts
 */
export function rehearsalsLog(host: MadeUpHost, ...events: [event: string, text: string][]): void {
  host.rehearsalUnits.run = async ({ directory }) => {
    for (const [event, text] of events) {
      const ns = Number(native.kernel.clock('boottime'));
      appendFileSync(join(directory, 'log'), `${JSON.stringify({ ns, machine: 0, event, text })}\n`);
    }
  };
}
