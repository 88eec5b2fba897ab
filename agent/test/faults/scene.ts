// SPDX-License-Identifier: Apache-2.0
/**
 * One run on a fresh made-up host, in ordered time: two machines are adopted and an update is run, as far as it goes. At one
 * seam a fault is armed. What becomes of the host is for `verdict.ts`.
 */
import { unitNameOf } from '../../src/adoption/restore.ts';
import type { AgentClient } from '../../src/client/index.ts';
import type { Plan } from '../../src/interface/agent.generated.ts';
import { MadeUpHost } from '../made-up-host.ts';
import { type MadeUpVmm, MadeUpVmms } from '../made-up-vmms.ts';
import { planOf, preserveText } from '../scenario.ts';
import { OrderedTime } from './ordered-time.ts';
import { type Fault, Seams } from './seams.ts';
import type { Watching } from './watching.ts';

/**
 * How an update goes that nothing disturbs: the kexec works; the kernel refuses it; somebody aborts it in the grace, when
 * all is ready to stop the machines.
 */
export const flows = ['kexec', 'refused', 'aborted'] as const;
export type Flow = (typeof flows)[number];

/** How far a run came: an adoption or an update was refused, or the update is over, or it has reached the next kernel. */
export type End = 'not adopted' | 'not begun' | 'stayed' | 'next kernel';

/** Everybody waits for longer than anything may take, in ms. */
const endlessMs = 3_600_000;
/** How long the agent may take to be through with what it tries again, in ms. */
const afterwardsMs = 120_000;

const names = ['one', 'two'] as const;

/** What an abort met with. */
export interface Abort {
  /** How long it took, in ms; null if it was never answered. */
  tookMs: number | null;
  /** What it was refused with. */
  refusal: string | null;
  /** VMMs that could, and did not run when it was answered. */
  stopped: string[];
}

export class Scene {
  readonly time = new OrderedTime();
  readonly host = new MadeUpHost();
  readonly vmms = new MadeUpVmms(this.host);
  readonly seams: Seams;
  readonly flow: Flow;
  readonly machines = new Map<string, MadeUpVmm>();
  /** VMMs that have ended, with whether their guest ran then. */
  readonly dead = new Map<string, boolean>();
  /** What a VMM that hangs will do once it goes on. */
  readonly #hanging = new Map<string, (() => void)[]>();
  /** What must never happen, and did. */
  readonly wrong: string[] = [];
  /** How long each guest was stopped in the kernel that is left, in ms. */
  readonly stoppedMs = new Map<string, number>();
  /** Whether what is under way will never end: only another agent helps. */
  isStuck = false;
  abort: Abort | null = null;
  client: AgentClient | null = null;
  #aborting: Promise<void> | null = null;
  #agentDied = false;
  #isNextKernel = false;
  readonly #watching: Watching;

  constructor(watching: Watching, flow: Flow, fault: Fault | null) {
    this.flow = flow;
    this.#watching = watching;
    const blows = {
      agentDies: () => this.#killAgent(),
      vmmDies: (name: string) => this.#killVmm(name),
      vmmHangs: (name: string) => void this.#hanging.set(name, []),
      diskFills: () => {
        watching.disk.full = true;
      },
      abort: () => this.#beginAbort(),
    };
    this.seams = new Seams(fault, names[0], blows, this.time);
    watching.seams = this.seams;
    watching.disk.full = false;
    const { host, seams, time, vmms } = this;
    host.kexec = flow === 'refused' ? 'refused' : 'works';
    host.tap = (native) => seams.native(native);
    host.reboot = async () => this.#noteRunning();
    const { starter } = host;
    if (starter)
      host.starter = seams.group('bus', {
        ...starter,
        resume: async (machine, ...given) => {
          this.#noteStart(unitNameOf(machine));
          await starter.resume(machine, ...given);
        },
      });
    vmms.between = (name, what, perform, refuse) => {
      const queue = this.#hanging.get(name);
      if (queue) queue.push(perform);
      else
        seams.told(
          name,
          what,
          () => {
            const now = this.#hanging.get(name);
            if (now) now.push(perform);
            else perform();
          },
          refuse,
        );
    };
    time.passing = (ms) => {
      if (this.#isNextKernel) return;
      for (const name of this.stopped()) this.stoppedMs.set(name, (this.stoppedMs.get(name) ?? 0) + ms);
    };
  }

  /** Everything up to the end of the update in this kernel, or of the settlement in the next one. */
  async run(): Promise<End> {
    this.client = await this.host.start();
    // It examines the running kernel, once it has nothing else to do.
    await this.time.pass(1);
    await this.client.call('CreateSession', { name: 's' });
    await preserveText(this.client, 's', 'kept');
    this.machines.set('one', await this.vmms.start('one', 'cpr'));
    this.machines.set('two', await this.vmms.start('two', 'named_memory'));
    if (!(await this.#adopt())) return 'not adopted';
    const plan = await this.answer(planOf(this.host, this.client));
    if (!plan.runnable) throw new Error(`not runnable: ${JSON.stringify(plan.checks)}`);
    const end = await this.#update(plan);
    if (end !== 'next kernel') return end;
    await this.#arrive();
    return end;
  }

  /** Lets go on what hangs, makes room on the disk, and lets the agent try again what it has failed to do. */
  async recover(): Promise<void> {
    this.seams.stage = null;
    for (const [name, queue] of [...this.#hanging]) {
      this.#hanging.delete(name);
      for (const perform of queue) perform();
    }
    await this.time.pass(afterwardsMs);
    this.#watching.disk.full = false;
    await this.time.pass(afterwardsMs);
  }

  /** VMMs that are there, could run, and do not. */
  stopped(): string[] {
    return [...this.machines.values()]
      .filter(({ name, guest }) => !this.dead.has(name) && !this.#hanging.has(name) && !guest.running)
      .map(({ name }) => name);
  }

  /** The agent that ran; the next one if that died, or is stuck. */
  async needAgent(): Promise<AgentClient> {
    if (this.client && !this.#agentDied && !this.isStuck) return this.client;
    return await this.restart();
  }

  /** Has another agent, as the service manager or an operator does. */
  async restart(): Promise<AgentClient> {
    this.seams.stage = null;
    this.host.kill();
    this.time.forget();
    this.#agentDied = false;
    const starting = this.host.launch();
    if (!(await this.time.during(starting, endlessMs))) throw new Error('the next agent does not start');
    this.client = await this.host.connect();
    const settled = this.host.agent?.settled ?? Promise.resolve();
    if (!(await this.time.during(settled, endlessMs))) throw new Error('the next agent settles nothing');
    return this.client;
  }

  /** The answer to a call. @throws Error if there is none however long one waits */
  async answer<T>(call: Promise<T>): Promise<T> {
    if (!(await this.time.during(call, endlessMs))) throw new Error('the agent does not answer');
    return await call;
  }

  async dispose(): Promise<void> {
    this.seams.stage = null;
    this.#watching.seams = null;
    this.#watching.disk.full = false;
    this.host.kill();
    this.time[Symbol.dispose]();
    await this.vmms.endAll();
    this.host.dispose();
  }

  async #adopt(): Promise<boolean> {
    for (const { pid } of this.machines.values()) {
      this.seams.stage = 'adopt';
      const adopting = this.#agent().call('AdoptMachine', { pid });
      const isAdopted = await this.#during(adopting);
      this.seams.stage = null;
      if (!isAdopted) return false;
    }
    return !this.#agentDied && this.dead.size === 0;
  }

  async #update(plan: Plan): Promise<End> {
    const asked = this.host.kexecAsked().then(() => this.flow === 'kexec');
    this.seams.stage = 'prepare';
    const following = this.#follow(plan.id, this.flow === 'aborted' ? 600 : 0);
    const isOver = async (): Promise<void> => {
      const isAsked = await Promise.race([asked, following.then(() => false)]);
      if (!isAsked) await following;
    };
    const ended = await this.#during(isOver());
    if (ended === null && !this.#agentDied) {
      this.#beginAbort();
      this.isStuck = (await this.#during(following)) === null && !this.#agentDied;
    }
    const isKexec = await Promise.race([asked, Promise.resolve(false)]);
    this.seams.stage = null;
    if (this.#aborting) await this.time.during(this.#aborting, endlessMs);
    if (isKexec && !this.#agentDied) return 'next kernel';
    return ended === false ? 'not begun' : 'stayed';
  }

  /** Follows an update until it is over. @throws what it is refused with */
  async #follow(plan: string, graceSeconds: number): Promise<void> {
    for await (const { progress } of this.#agent().stream('RunUpdate', { plan, graceSeconds }))
      if (progress.graceEndsAtUs !== null && this.flow === 'aborted' && progress.phase === 'prepared')
        this.#beginAbort();
  }

  async #arrive(): Promise<void> {
    this.#isNextKernel = true;
    this.host.becomeNextKernel();
    this.time.forget();
    await this.vmms.endAll();
    this.seams.stage = 'resume';
    const starting = this.host.launch();
    const died = this.host.process?.died.then(() => {});
    const settled = starting.then(async () => await this.host.agent?.settled);
    // One that cannot start ends, and is started again.
    const failed = (): void => {
      this.#agentDied = true;
    };
    const over = Promise.race([settled.catch(failed), died ?? settled]);
    const isOver = await this.time.during(over, endlessMs);
    this.seams.stage = null;
    if (!this.#agentDied && this.host.agent !== null) this.client = await this.host.connect();
    if (!isOver) await this.restart();
  }

  /** @returns whether it worked; null if the agent died, or it takes for ever */
  async #during(work: Promise<unknown>): Promise<boolean | null> {
    const died = this.host.process?.died.then(() => null) ?? Promise.resolve(null);
    const outcome = work.then(
      () => true,
      () => false,
    );
    let result: boolean | null = null;
    const either = Promise.race([outcome, died]).then((seen) => {
      result = seen;
    });
    await this.time.during(either, endlessMs);
    return this.#agentDied ? null : result;
  }

  #beginAbort(): void {
    if (this.#aborting) return;
    const abort: Abort = { tookMs: null, refusal: null, stopped: [] };
    this.abort = abort;
    const fromMs = this.time.nowMs;
    const answered = (): void => {
      abort.tookMs = this.time.nowMs - fromMs;
      abort.stopped = this.stopped();
    };
    this.#aborting = this.#agent()
      .call('AbortUpdate', { reason: 'the test aborts it' })
      .then(answered, (error: unknown) => {
        answered();
        abort.refusal = String((error as { error?: string }).error ?? error);
      });
  }

  #agent(): AgentClient {
    if (!this.client) throw new Error('there is no agent');
    return this.client;
  }

  #killAgent(): void {
    if (this.#agentDied) return;
    this.#agentDied = true;
    this.seams.stage = null;
    this.host.process?.kill();
    // As the kernel does with its connections.
    for (const { name, guest } of this.machines.values()) {
      if (this.dead.has(name)) continue;
      guest.hangUp();
      guest.answerAgain();
    }
    this.time.forget();
  }

  #killVmm(name: string): void {
    const vmm = this.machines.get(name);
    if (!vmm || this.dead.has(name) || vmm.child.signalCode !== null) return;
    this.dead.set(name, vmm.guest.running);
    void this.vmms.end(vmm);
  }

  /** What is carried over must be stopped by now: else it runs twice. */
  #noteRunning(): void {
    for (const { name, guest } of this.machines.values())
      if (!this.dead.has(name) && guest.running) this.wrong.push(`${name} runs when the reboot call is made`);
  }

  /** A VMM is started with a saved state: not here, and not if its guest has run since. */
  #noteStart(name: string): void {
    const vmm = this.machines.get(name);
    if (!vmm) this.wrong.push(`${name} is brought back, and nobody knows it`);
    if (!this.#isNextKernel) this.wrong.push(`${name} is brought back in the kernel that it never left`);
    if (vmm?.guest.running) this.wrong.push(`${name} is brought back though it has run`);
    this.dead.delete(name);
  }
}
