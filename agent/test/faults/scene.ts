// SPDX-License-Identifier: Apache-2.0
/**
 * One run on a fresh made-up host, in ordered time: two machines are adopted and an update is run, as far as it goes. At one
 * seam a fault is armed. What becomes of the host is for `verdict.ts`.
 */
import { unitNameOf } from '../../src/adoption/restore.ts';
import type { AgentClient } from '../../src/client/index.ts';
import type { Plan } from '../../src/interface/agent.generated.ts';
import { MadeUpHost } from '../made-up-host.ts';
import { planOf, preserveText } from '../scenario.ts';
import { Guests } from './guests.ts';
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

/** The machine whose VMM dies where a seam is about none. */
const victim = 'one';

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
  readonly guests = new Guests(this.host, this.time);
  readonly seams: Seams;
  readonly flow: Flow;
  /** Whether what is under way will never end: only another agent helps. */
  isStuck = false;
  abort: Abort | null = null;
  client: AgentClient | null = null;
  /** For calls that may never be answered: a connection has its calls answered one after the other. */
  #patient: AgentClient | null = null;
  #aborting: Promise<void> | null = null;
  /** Whether an agent died of the fault. */
  hasAgentDied = false;
  #agentDied = false;
  /** Whether the journal is closed by the fault until the agent is started again: its disk did not fail for being full. */
  readonly isJournalClosed: boolean;
  readonly #watching: Watching;

  constructor(watching: Watching, flow: Flow, fault: Fault | null) {
    this.flow = flow;
    this.isJournalClosed = fault?.kind === 'error' && fault.point.label.startsWith('journal:');
    this.#watching = watching;
    const blows = {
      agentDies: () => this.#killAgent(),
      vmmDies: (name: string) => this.guests.kill(name),
      vmmHangs: (name: string) => this.guests.hang(name),
      diskFills: () => {
        watching.disk.full = true;
      },
      abort: () => this.#beginAbort(),
    };
    this.seams = new Seams(fault, victim, blows, this.time);
    watching.seams = this.seams;
    watching.disk.full = false;
    const { guests, host, seams } = this;
    host.kexec = flow === 'refused' ? 'refused' : 'works';
    host.tap = (native) => seams.native(native);
    const { starter } = host;
    if (starter)
      host.starter = seams.group('bus', {
        ...starter,
        resume: async (machine, ...given) => {
          guests.noteStart(unitNameOf(machine));
          await starter.resume(machine, ...given);
        },
      });
    guests.through(seams);
  }

  /** Everything up to the end of the update in this kernel, or of the settlement in the next one. */
  async run(): Promise<End> {
    this.client = await this.host.start();
    this.#patient = await this.host.connect();
    // It examines the running kernel, once it has nothing else to do.
    await this.time.pass(1);
    await this.client.call('CreateSession', { name: 's' });
    await preserveText(this.client, 's', 'kept');
    await this.guests.start();
    if (!(await this.#adopt())) return 'not adopted';
    const plan = await this.#plan();
    // One whose VMM hangs since it was adopted cannot come along.
    if (!plan?.runnable) return 'not begun';
    const end = await this.#update(plan);
    if (end !== 'next kernel') return end;
    await this.#arrive();
    return end;
  }

  /** Lets go on what hangs, makes room on the disk, and lets the agent try again what it has failed to do. */
  async recover(): Promise<void> {
    this.seams.stage = null;
    this.guests.goOn();
    await this.time.pass(afterwardsMs);
    this.#watching.disk.full = false;
    await this.time.pass(afterwardsMs);
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
    await this.guests.vmms.endAll();
    this.guests.close();
    this.host.dispose();
  }

  async #adopt(): Promise<boolean> {
    for (const { pid } of this.guests.machines.values()) {
      this.seams.stage = 'adopt';
      const adopting = this.#agent().call('AdoptMachine', { pid });
      const isAdopted = await this.#during(adopting);
      this.seams.stage = null;
      this.isStuck = isAdopted === null && !this.#agentDied;
      if (!isAdopted) return false;
    }
    return !this.#agentDied && this.guests.dead.size === 0;
  }

  /** @returns null if there is none */
  async #plan(): Promise<Plan | null> {
    let plan: Plan | null = null;
    this.seams.stage = 'plan';
    const planning = planOf(this.host, this.#agent()).then((made) => {
      plan = made;
    });
    const isMade = await this.#during(planning);
    this.seams.stage = null;
    this.isStuck = isMade === null && !this.#agentDied;
    return this.#agentDied ? null : plan;
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
    this.guests.hasLeft = true;
    this.host.becomeNextKernel();
    this.time.forget();
    await this.guests.vmms.endAll();
    this.seams.stage = 'resume';
    const starting = this.host.launch();
    const died = this.host.process?.died.then(() => {});
    const settled = starting.then(async () => await this.host.agent?.settled);
    // One that cannot start ends, and is started again.
    const failed = (): void => {
      this.#agentDied = true;
    };
    const over = Promise.race([settled.catch(failed), died ?? settled]);
    let isOver = await this.time.during(over, endlessMs);
    this.seams.stage = null;
    // Nobody can bring back a machine whose VMM answers nothing. It is waited for.
    if (!isOver && this.guests.isAnyHanging) {
      this.guests.goOn();
      isOver = await this.time.during(over, endlessMs);
    }
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
      abort.stopped = this.guests.stopped();
    };
    this.#aborting = this.#agent()
      .call('AbortUpdate', { reason: 'the test aborts it' })
      .then(answered, (error: unknown) => {
        answered();
        abort.refusal = String((error as { error?: string }).error ?? error);
      });
  }

  #agent(): AgentClient {
    if (!this.#patient) throw new Error('there is no agent');
    return this.#patient;
  }

  #killAgent(): void {
    if (this.#agentDied) return;
    this.#agentDied = true;
    this.hasAgentDied = true;
    this.seams.stage = null;
    this.host.process?.kill();
    this.guests.disconnect();
    this.time.forget();
  }
}
