// SPDX-License-Identifier: Apache-2.0
/** The machines of one run: what is done to their VMMs, and what must never happen to their guests. */

import type { MadeUpHost } from '../made-up-host.ts';
import { type MadeUpVmm, MadeUpVmms } from '../made-up-vmms.ts';
import type { OrderedTime } from './ordered-time.ts';
import type { Seams } from './seams.ts';

export class Guests {
  readonly vmms: MadeUpVmms;
  readonly machines = new Map<string, MadeUpVmm>();
  /** VMMs that have ended, with whether their guest ran then. */
  readonly dead = new Map<string, boolean>();
  /** What must never happen, and did. */
  readonly wrong: string[] = [];
  /** How long each guest was stopped in the kernel that is left, in ms. */
  readonly stoppedMs = new Map<string, number>();
  /** Whether the kernel is the next one. */
  hasLeft = false;
  readonly #time: OrderedTime;
  /** What a VMM that hangs will do once it goes on. */
  readonly #hanging = new Map<string, (() => void)[]>();

  constructor(host: MadeUpHost, time: OrderedTime) {
    this.#time = time;
    this.vmms = new MadeUpVmms(host);
    host.reboot = async () => this.#noteReboot();
    time.passing = (ms) => {
      if (this.hasLeft) return;
      for (const name of this.stopped()) this.stoppedMs.set(name, (this.stoppedMs.get(name) ?? 0) + ms);
    };
  }

  /** Has the seams look at all that VMMs are told from now on. */
  through(seams: Seams): void {
    this.vmms.between = (name, what, perform, refuse) => {
      // It may hang by then, because of this very thing.
      const unlessHanging = (): void => {
        const queue = this.#hanging.get(name);
        if (queue) queue.push(perform);
        else perform();
      };
      if (this.#hanging.has(name)) unlessHanging();
      else seams.told(name, what, unlessHanging, refuse);
    };
  }

  async start(): Promise<void> {
    this.machines.set('one', await this.vmms.start('one', 'cpr'));
    this.machines.set('two', await this.vmms.start('two', 'named_memory'));
  }

  /** Closes their monitors: there are hundreds of runs in a test, and each wait looks at all that is open. */
  close(): void {
    for (const { guest } of this.machines.values()) guest.close();
  }

  /** Machines that are there, could run, and do not. */
  stopped(): string[] {
    return [...this.machines.values()]
      .filter(({ name, guest }) => !this.dead.has(name) && !this.#hanging.has(name) && !guest.running)
      .map(({ name }) => name);
  }

  /** Whether any VMM hangs. */
  get isAnyHanging(): boolean {
    return this.#hanging.size > 0;
  }

  hang(name: string): void {
    this.#hanging.set(name, []);
  }

  /** VMMs that hang go on where they were. */
  goOn(): void {
    for (const [name, queue] of [...this.#hanging]) {
      this.#hanging.delete(name);
      for (const perform of queue) perform();
    }
  }

  kill(name: string): void {
    const vmm = this.machines.get(name);
    if (!vmm || this.dead.has(name) || vmm.child.signalCode !== null) return;
    this.dead.set(name, vmm.guest.running);
    this.#time.working(this.vmms.end(vmm), false);
  }

  /** Ends all connections to VMMs, as the kernel does with those of an agent that has died. */
  disconnect(): void {
    for (const { name, guest } of this.machines.values()) {
      if (this.dead.has(name)) continue;
      guest.hangUp();
      guest.answerAgain();
    }
  }

  /** A VMM is started with a saved state: not in the kernel that it is in, and not if its guest has run since. */
  noteStart(name: string): void {
    const vmm = this.machines.get(name);
    if (!vmm) this.wrong.push(`${name} is brought back, and nobody knows it`);
    if (!this.hasLeft) this.wrong.push(`${name} is brought back in the kernel that it never left`);
    if (vmm?.guest.running) this.wrong.push(`${name} is brought back though it has run`);
    this.dead.delete(name);
  }

  /** What is carried over must be stopped by now: else it runs twice. */
  #noteReboot(): void {
    for (const { name, guest } of this.machines.values())
      if (!this.dead.has(name) && guest.running) this.wrong.push(`${name} runs when the reboot call is made`);
  }
}
