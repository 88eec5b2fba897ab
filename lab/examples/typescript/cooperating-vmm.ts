// SPDX-License-Identifier: Apache-2.0
/**
 * A VMM that carries its machine through a live update itself. The agent only lends it a session. The VMM decides what
 * to preserve in it, and under which tokens, and retrieves it itself.
 *
 *     cooperating-vmm SESSION [SOCKET]
 *
 * Started without such a session, it makes a machine and the session, and preserves the machine's files. It attends the
 * session. Before a live update leaves, the agent asks it to stop the machine, and waits until the state is in a
 * preserved file. If the update is aborted, the machine goes on. Started after the kexec, it finds the session
 * incoming, takes the machine out of it and lets it run. Only then does it have the session finished, and preserves the
 * files again. It never makes a new machine where the old one may still be. If the session cannot be retrieved, or is
 * one of this kernel, it says so and ends.
 */
import { writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { type AgentClient, connectAgent, isAgentError } from '@luo-console/agent/client';
import type { Direction } from '@luo-console/agent/interface';
import { agentSocket } from '@luo-console/agent/places';
import { type Descriptor, liveUpdate } from '@luo-console/native';
import { Machine } from './machine.ts';

const memoryToken = 0x1000n;
const stateToken = 0x1001n;
const countMs = 250;
const reconnectMs = 1000;

const say = (line: string): void => void writeSync(1, `${line}\n`);
const sayWrong = (error: unknown): void => {
  writeSync(2, `cooperating-vmm: ${error instanceof Error ? error.message : String(error)}\n`);
};

/** The result of a call to the agent, or null if the session was not found. */
async function unlessNotFound<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call;
  } catch (error) {
    if (isAgentError(error, 'SessionNotFound')) return null;
    throw error;
  }
}

class CooperatingVmm {
  readonly #name: string;
  readonly #address: string;
  readonly #machine: Machine;
  /** The work left before the next live update. */
  readonly #left: (() => Promise<void>)[];
  #protecting = false;

  private constructor(name: string, address: string, machine: Machine, incoming: boolean) {
    this.#name = name;
    this.#address = address;
    this.#machine = machine;
    this.#left = [
      () => this.#preserve(memoryToken, machine.memoryFile),
      () => this.#preserve(stateToken, machine.stateFile),
    ];
    if (incoming) this.#left.unshift(() => this.#finish());
  }

  /** Takes the machine out of its session, or makes both. @throws Error why neither was possible */
  static async start(name: string, address: string): Promise<CooperatingVmm> {
    using agent = await connectTo(address);
    const direction = (await findSession(agent.client, name)) ?? (await askKernel(agent.client, name));
    if (direction === 'outgoing') {
      throw new Error(
        `session ${name} exists and no live update has carried it here: the machine in it runs, or ended without ` +
          'one; closing the session gives that machine up',
      );
    }
    const incoming = direction === 'incoming';
    const machine = incoming ? await take(agent.client, name) : await make(agent.client, name);
    return new CooperatingVmm(name, address, machine, incoming);
  }

  /** Runs the machine, and does with it what the agent's status asks for, until `signal` fires. */
  async run(signal: AbortSignal): Promise<void> {
    this.#machine.run();
    const counting = setInterval(() => {
      if (!this.#machine.running) return;
      this.#machine.count();
      say(`count ${this.#machine}`);
    }, countMs);
    await Promise.all([
      this.#keep(signal, (client) => this.#followStatus(client, signal)),
      this.#keep(signal, (client) => this.#attend(client, signal)),
    ]);
    clearInterval(counting);
    // Replacing the kernel without the agent stops services first: the state must be there then too.
    if (this.#machine.running) this.#suspend();
  }

  /**
   * Does something with the agent that lasts. An agent that is gone comes back; meanwhile the machine goes on as
   * before.
   */
  async #keep(signal: AbortSignal, lasting: (client: AgentClient) => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      using agent = await connectTo(this.#address).catch(() => null);
      if (agent) await lasting(agent.client).catch((error: unknown) => signal.aborted || sayWrong(error));
      await delay(reconnectMs, undefined, { signal }).catch(() => {});
    }
  }

  async #followStatus(client: AgentClient, signal: AbortSignal): Promise<void> {
    for await (const { status } of client.stream('GetStatus', {}, { signal })) {
      if (status.phase === 'normal' && !this.#protecting) void this.#protect();
    }
  }

  async #attend(client: AgentClient, signal: AbortSignal): Promise<void> {
    const name = this.#name;
    for await (const { still, question } of client.stream('AttendSession', { name }, { signal })) {
      if (still && this.#machine.running) {
        await client.call('ReportStill', { name, problem: this.#standStill(), question });
      } else if (!still && !this.#machine.running) {
        this.#machine.run();
        say(`resumed ${this.#machine}`);
      }
    }
  }

  /** The agent waits for this. A machine that cannot be carried over says why, and does not stop for nothing. */
  #standStill(): string | null {
    if (this.#left.length > 0) return 'the machine is not preserved yet';
    try {
      this.#suspend();
      return null;
    } catch (error) {
      sayWrong(error);
      return 'the device state could not be written';
    }
  }

  #suspend(): void {
    this.#machine.suspend();
    say(`suspended ${this.#machine}`);
  }

  /** What fails here is tried again with the next news; the machine runs in any case. */
  async #protect(): Promise<void> {
    if (this.#left.length === 0) return;
    this.#protecting = true;
    try {
      for (let step = this.#left[0]; step; step = this.#left[0]) {
        await step();
        this.#left.shift();
      }
      say(`protected ${this.#machine}`);
    } catch (error) {
      sayWrong(error);
    } finally {
      this.#protecting = false;
    }
  }

  async #finish(): Promise<void> {
    using agent = await connectTo(this.#address);
    await agent.client.call('FinishSession', { name: this.#name });
  }

  /** The agent holds the session. If it stayed open here, those who may close it could not. */
  async #preserve(token: bigint, file: Descriptor): Promise<void> {
    using agent = await connectTo(this.#address);
    using session = await fetchSession(agent.client, this.#name);
    await liveUpdate.preserveFd(session, file, token);
  }
}

async function connectTo(address: string): Promise<Disposable & { readonly client: AgentClient }> {
  const client = await connectAgent(address);
  return { client, [Symbol.dispose]: () => client.close() };
}

async function findSession(agent: AgentClient, name: string): Promise<Direction | null> {
  const found = await unlessNotFound(agent.call('GetSession', { name }));
  return found?.session.direction ?? null;
}

/** The kernel may have a session that the agent does not have: only asking the kernel tells. */
async function askKernel(agent: AgentClient, name: string): Promise<Direction | null> {
  for await (const { status } of agent.stream('GetStatus', {})) if (status.phase === 'normal') break;
  const found = await unlessNotFound(agent.call('RetrieveSession', { name }));
  return found?.session.direction ?? null;
}

/** The session's own descriptor, for the caller to close. */
async function fetchSession(agent: AgentClient, name: string): Promise<Descriptor> {
  const { reply, descriptors } = await agent.exchange('FetchSession', { name });
  const session = descriptors[reply.fileDescriptor];
  if (session && descriptors.length === 1) return session;
  for (const descriptor of descriptors) descriptor.close();
  throw new Error(`FetchSession: one descriptor is expected beside the reply, ${descriptors.length} came`);
}

/** Takes the machine out of the incoming session. The agent keeps the session, so this can be done again. */
async function take(agent: AgentClient, name: string): Promise<Machine> {
  using session = await fetchSession(agent, name);
  const memory = await retrieve(session, name, memoryToken, 'memory');
  const state = await retrieve(session, name, stateToken, 'device state');
  try {
    const machine = Machine.restore(memory, state);
    say(`retrieved ${machine}`);
    return machine;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`session ${name}: ${reason}; no other machine is started in its place`, { cause });
  }
}

async function retrieve(session: Descriptor, name: string, token: bigint, what: string): Promise<Descriptor> {
  try {
    return await liveUpdate.retrieveFd(session, token);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const asked = `token 0x${token.toString(16)}, the machine's ${what}`;
    throw new Error(`session ${name}: ${asked}: ${reason}; no other machine is started in its place`, {
      cause,
    });
  }
}

async function make(agent: AgentClient, name: string): Promise<Machine> {
  await agent.call('CreateSession', { name });
  const machine = Machine.create();
  say(`created ${machine}`);
  return machine;
}

const [name, socket = agentSocket, ...rest] = process.argv.slice(2);
if (name === undefined || rest.length > 0) {
  writeSync(2, 'usage: cooperating-vmm SESSION [SOCKET]\n');
  process.exit(2);
}
const end = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => end.abort());
try {
  const vmm = await CooperatingVmm.start(name, `unix:${socket}`);
  await vmm.run(end.signal);
} catch (error) {
  sayWrong(error);
  process.exitCode = 1;
}
