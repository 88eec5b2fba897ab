// SPDX-License-Identifier: Apache-2.0
/**
 * The machines of one host: those that run, those that are held, those defined in files, and what is being done with
 * them. The agent does not announce changes of machines, so a view that shows them has them read again.
 */
import type {
  AgentMethods,
  HeldMachine,
  Machine,
  MachineDefinition,
  NameChange,
  Rehearsal,
  Renewal,
  RenewalStage,
} from '@luo-console/agent/interface';
import { callAgent, callFollowed, readAgent } from '../bridge/agent.ts';
import { type Failure, toFailure } from '../bridge/failure.ts';
import { Remote } from '../bridge/remote.svelte.ts';

/** A definition that is being started, or could not be. */
export interface Starting {
  sinceUs: number;
  failure: Failure | null;
}

export class MachinesStore {
  readonly found: Remote<AgentMethods['ListMachines']['reply']>;
  readonly kept: Remote<AgentMethods['ListHeldMachines']['reply']>;
  readonly defined: Remote<AgentMethods['ListDefinitions']['reply']>;
  /** By the definition's name. */
  starting = $state.raw<ReadonlyMap<string, Starting>>(new Map());
  readonly #host: string;

  constructor(host: string) {
    this.#host = host;
    this.found = new Remote(() => readAgent(host, 'ListMachines', {}));
    this.kept = new Remote(() => readAgent(host, 'ListHeldMachines', {}));
    this.defined = new Remote(() => readAgent(host, 'ListDefinitions', {}));
  }

  readonly all: Machine[] = $derived.by(() => this.found.value?.machines ?? []);
  /** Machines that do not run, and whose memory and state are safe with the agent. */
  readonly held: HeldMachine[] = $derived.by(() => this.kept.value?.machines ?? []);
  /** Definitions of machines that do not run. */
  readonly idle: MachineDefinition[] = $derived.by(() =>
    (this.defined.value?.definitions ?? []).filter(({ pid }) => pid === null),
  );
  /** Whether any of them is being read. */
  readonly loading: boolean = $derived.by(() =>
    [this.found, this.kept, this.defined].some(({ state }) => state === 'loading'),
  );

  /** Reads all of them again. Never throws. */
  async load(): Promise<void> {
    await Promise.all([this.found.load(), this.kept.load(), this.defined.load()]);
  }

  /** As `load`, if anybody has looked at them before. */
  refresh(): void {
    if (this.found.state !== 'empty') void this.load();
  }

  /**
   * Adopts a running machine.
   *
   * @param unlink allows the names of its memory to be taken away
   * @param priority null for the usual one
   * @param onProgress told what part of its memory has been put into huge pages; an older agent does not say it
   * @throws Failure
   */
  adopt(
    pid: number,
    unlink: boolean,
    priority: number | null,
    onProgress: (part: number) => void,
  ): Promise<Machine> {
    const given = priority === null ? {} : { priority };
    return this.#act(async () => {
      const parameters = { pid, unlink, ...given };
      const { machine } = await callFollowed(this.#host, 'AdoptMachine', parameters, ({ done, total }) => {
        if (done !== null && total !== null && total > 0) onProgress(done / total);
      });
      return machine;
    });
  }

  /** Lets go of an adopted machine. @throws Failure */
  release(pid: number): Promise<Machine> {
    return this.#act(async () => (await callAgent(this.#host, 'ReleaseMachine', { pid })).machine);
  }

  /** Rehearses an adopted machine. @returns how that went @throws Failure */
  rehearse(pid: number): Promise<Rehearsal> {
    return this.#act(async () => (await callAgent(this.#host, 'RehearseMachine', { pid })).rehearsal);
  }

  /**
   * Replaces an adopted machine's VMM by a new one.
   *
   * @param onStage told how far it is
   * @returns what came of it
   * @throws Failure if nothing was done
   */
  renew(pid: number, onStage: (stage: RenewalStage) => void): Promise<Renewal | null> {
    return this.#act(async () => {
      const { renewal } = await callFollowed(this.#host, 'RenewMachine', { pid }, ({ stage }) => {
        if (stage !== null) onStage(stage);
      });
      return renewal;
    });
  }

  /**
   * Tries once more to start a held machine, which adopts it.
   *
   * @param session that keeps it
   * @param changes other names on its command line; an older agent takes none
   * @throws Failure
   */
  retry(session: string, changes: readonly NameChange[]): Promise<Machine> {
    const given = changes.length === 0 ? { session } : { session, changes: [...changes] };
    return this.#act(async () => (await callAgent(this.#host, 'RetryMachine', given)).machine);
  }

  /** Gives up a held machine, which frees its memory and its state. @param session that keeps it @throws Failure */
  async abandon(session: string): Promise<void> {
    await this.#act(() => callAgent(this.#host, 'AbandonMachine', { session }));
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

  async #act<T>(act: () => Promise<T>): Promise<T> {
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

/**
 * Which machine or definition the view shows. A machine keeps its name through a live update, but not its process. It
 * keeps its name also when it is held, and when it runs again.
 */
export type MachineChoice =
  | { kind: 'machine'; pid: number; name: string }
  | { kind: 'held'; session: string; name: string }
  | { kind: 'definition'; name: string };

export type Chosen =
  | { kind: 'machine'; machine: Machine }
  | { kind: 'held'; machine: HeldMachine }
  | { kind: 'definition'; definition: MachineDefinition }
  | null;

type Listed = Pick<MachinesStore, 'all' | 'held' | 'idle'>;

/** What was chosen, among what there is now; the first if that is gone. */
export function chosenOf(choice: MachineChoice | null, { all, held, idle }: Listed): Chosen {
  if (choice?.kind === 'definition') {
    const definition = idle.find(({ name }) => name === choice.name);
    if (definition) return { kind: 'definition', definition };
  }
  if (choice?.kind === 'held') {
    const machine = held.find(({ session }) => session === choice.session);
    if (machine) return { kind: 'held', machine };
  }
  const machine =
    (choice?.kind === 'machine' && all.find(({ pid }) => pid === choice.pid)) ||
    all.find(({ name }) => name === choice?.name);
  if (machine) return { kind: 'machine', machine };
  const stopped = held.find(({ name }) => name === choice?.name);
  if (stopped) return { kind: 'held', machine: stopped };
  return firstOf({ all, held, idle });
}

function firstOf({ all: [machine], held: [stopped], idle: [definition] }: Listed): Chosen {
  if (machine) return { kind: 'machine', machine };
  if (stopped) return { kind: 'held', machine: stopped };
  return definition ? { kind: 'definition', definition } : null;
}
