// SPDX-License-Identifier: Apache-2.0
/**
 * The machines of one host: those that run, those defined in files, and what is being done with them. The agent
 * does not announce changes of machines, so a view that shows them has them read again.
 */
import type { AgentMethods, Machine, MachineDefinition } from '@luo-console/agent/interface';
import { callAgent, readAgent } from '../bridge/agent.ts';
import { type Failure, toFailure } from '../bridge/failure.ts';
import { Remote } from '../bridge/remote.svelte.ts';

/** A definition that is being started, or could not be. */
export interface Starting {
  sinceUs: number;
  failure: Failure | null;
}

export class MachinesStore {
  readonly found: Remote<AgentMethods['ListMachines']['reply']>;
  readonly defined: Remote<AgentMethods['ListDefinitions']['reply']>;
  /** By the definition's name. */
  starting = $state.raw<ReadonlyMap<string, Starting>>(new Map());
  readonly #host: string;

  constructor(host: string) {
    this.#host = host;
    this.found = new Remote(() => readAgent(host, 'ListMachines', {}));
    this.defined = new Remote(() => readAgent(host, 'ListDefinitions', {}));
  }

  readonly all: Machine[] = $derived.by(() => this.found.value?.machines ?? []);
  /** Definitions of machines that do not run. */
  readonly idle: MachineDefinition[] = $derived.by(() =>
    (this.defined.value?.definitions ?? []).filter(({ pid }) => pid === null),
  );
  /** Whether either is being read. */
  readonly loading: boolean = $derived.by(
    () => this.found.state === 'loading' || this.defined.state === 'loading',
  );

  /** Reads both again. Never throws. */
  async load(): Promise<void> {
    await Promise.all([this.found.load(), this.defined.load()]);
  }

  /** As `load`, if anybody has looked at them before. */
  refresh(): void {
    if (this.found.state !== 'empty') void this.load();
  }

  /** Takes a running machine on. @param unlink allows the names of its memory to be taken away @throws Failure */
  adopt(pid: number, unlink: boolean): Promise<Machine> {
    return this.#act(async () => (await callAgent(this.#host, 'AdoptMachine', { pid, unlink })).machine);
  }

  /** Lets go of an adopted machine. @throws Failure */
  release(pid: number): Promise<Machine> {
    return this.#act(async () => (await callAgent(this.#host, 'ReleaseMachine', { pid })).machine);
  }

  /** Starts a machine from its definition. @returns null if it could not be, which `starting` then tells */
  async start(name: string): Promise<Machine | null> {
    this.#mark(name, { sinceUs: Date.now() * 1000, failure: null });
    try {
      const machine = await this.#act(
        async () => (await callAgent(this.#host, 'StartMachine', { name })).machine,
      );
      this.#mark(name, null);
      return machine;
    } catch (thrown) {
      this.#mark(name, { sinceUs: 0, failure: toFailure(thrown) });
      return null;
    }
  }

  async #act(act: () => Promise<Machine>): Promise<Machine> {
    try {
      return await act();
    } finally {
      await this.load();
    }
  }

  #mark(name: string, starting: Starting | null): void {
    const all = new Map(this.starting);
    if (starting) all.set(name, starting);
    else all.delete(name);
    this.starting = all;
  }
}

/** Which machine or definition the view shows. A machine keeps its name through a live update, but not its process. */
export type MachineChoice =
  | { kind: 'machine'; pid: number; name: string }
  | { kind: 'definition'; name: string };

export type Chosen =
  | { kind: 'machine'; machine: Machine }
  | { kind: 'definition'; definition: MachineDefinition }
  | null;

/** What was chosen, among what there is now; the first if that is gone. */
export function chosenOf(
  choice: MachineChoice | null,
  machines: readonly Machine[],
  definitions: readonly MachineDefinition[],
): Chosen {
  if (choice?.kind === 'definition') {
    const definition = definitions.find(({ name }) => name === choice.name);
    if (definition) return { kind: 'definition', definition };
  }
  const machine =
    (choice?.kind === 'machine' && machines.find(({ pid }) => pid === choice.pid)) ||
    machines.find(({ name }) => name === choice?.name) ||
    machines[0];
  if (machine) return { kind: 'machine', machine };
  const [definition] = definitions;
  return definition ? { kind: 'definition', definition } : null;
}
