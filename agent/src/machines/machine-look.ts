// SPDX-License-Identifier: Apache-2.0
/** Looking at machines, one look at a time: a monitor admits one client, and the agent must not be in its own way. */
import { Serial } from '../host/serial.ts';
import type { Machine } from '../interface/agent.generated.ts';
import type { MachineSources } from './describe-machine.ts';
import { getMachine, listMachines } from './machines.ts';

export class MachineLook {
  readonly #sources: MachineSources;
  readonly #serial = new Serial();
  #looking: Promise<Machine[]> | null = null;

  constructor(sources: MachineSources) {
    this.#sources = sources;
  }

  /** All machines. Everybody who asks while it is being found out gets the same answer. */
  all(): Promise<Machine[]> {
    this.#looking ??= this.#serial
      .run(() => listMachines(this.#sources))
      .finally(() => {
        this.#looking = null;
      });
    return this.#looking;
  }

  /** One machine. @throws Refusal NoSuchProcess, NotAMachine */
  one(pid: number): Promise<Machine> {
    return this.#serial.run(() => getMachine(this.#sources, pid));
  }
}
