// SPDX-License-Identifier: Apache-2.0
/** Looking at machines, one look at a time: a monitor admits one client, and the agent must not be in its own way. */
import type { Machine } from '../interface/agent.generated.ts';
import type { MachineSources } from './describe-machine.ts';
import { getMachine, listMachines } from './machines.ts';

export class MachineLook {
  readonly #sources: MachineSources;
  #turn: Promise<unknown> = Promise.resolve();
  #looking: Promise<Machine[]> | null = null;

  constructor(sources: MachineSources) {
    this.#sources = sources;
  }

  /** All machines. Everybody who asks while it is being found out gets the same answer. */
  all(): Promise<Machine[]> {
    this.#looking ??= this.#next(() => listMachines(this.#sources)).finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  /** One machine. @throws Refusal NoSuchProcess, NotAMachine */
  one(pid: number): Promise<Machine> {
    return this.#next(() => getMachine(this.#sources, pid));
  }

  #next<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}
