// SPDX-License-Identifier: Apache-2.0
/**
 * The machines of an update: made ready, stopped, and let run on. A thin layer between the departure, which knows
 * steps and phases, and `adoption/`, which knows VMMs.
 */
import type { Descriptor } from '@luo-console/native';
import type { Adopted } from '../../adoption/adoption-context.ts';
import type { Following } from '../../adoption/huge-pages.ts';
import { placesOfMemory } from '../../adoption/named-memory.ts';
import type { SavedMachine } from '../../adoption/saved-machine.ts';
import { NotSaved, Suspension } from '../../adoption/suspension.ts';
import type { SuspensionContext } from '../../adoption/suspension-context.ts';
import type { VmmFacts } from '../../adoption/vmm-facts.ts';
import { identify } from '../../host/process-files.ts';
import { saidBy } from '../../host/said-by.ts';
import { socketSeenBy } from '../../host/seen-by.ts';
import type { MachineRun, Plan } from '../../interface/agent.generated.ts';
import type { Actor } from '../../liveupdate/live-update-context.ts';
import type { Place } from '../../liveupdate/session-entries.ts';
import { indexSessionName } from '../../liveupdate/tokens.ts';
import { compileProgram } from '../program/compile.ts';
import { encodeProgram } from '../program/encode.ts';
import { vmmFacts } from '../program/vmm-facts.ts';
import type { OutgoingIndex } from '../record/index-session.ts';
import type { UpdateContext } from '../record/update-context.ts';
import { trialMachine } from './resume-program.ts';

export interface RunMachinesOptions {
  readonly plan: Plan;
  readonly actor: Actor;
  /** When *preserving* began, µs since the epoch. */
  readonly brownoutFromUs: number;
  /** The index session, in which what the next kernel needs is preserved. */
  index(): OutgoingIndex | null;
  /** Writes ahead what will be written down of the machines, as far as it is known. @throws Error if it has no room */
  writeAhead(coming: readonly SavedMachine[]): Promise<void>;
  /** Told right before the first machine is stopped. */
  stopping(): void;
  /** Fires when the update is aborted. */
  readonly signal: AbortSignal;
  /** Told when anything about the machines has changed. */
  changed(): void;
}

/** What the plan says of the sizes and limits of its machines. */
function limitsIn({ machines }: Plan): Pick<SuspensionContext, 'memoryOf' | 'saveLimitMs'> {
  const planned = ({ session }: Adopted) => machines.find((each) => each.session === session);
  return {
    memoryOf: (adopted) => planned(adopted)?.memory ?? null,
    saveLimitMs: (adopted) => {
      const limitUs = planned(adopted)?.saveLimitUs ?? null;
      if (limitUs === null) throw new NotSaved(`the plan has no limit for ${adopted.machine.name}`);
      return Math.ceil(limitUs / 1000);
    },
  };
}

export class RunMachines {
  readonly #context: UpdateContext;
  readonly #options: RunMachinesOptions;
  readonly #suspension: Suspension;
  /** The machines that are to be carried over. */
  readonly adopted: readonly Adopted[];

  constructor(context: UpdateContext, options: RunMachinesOptions) {
    this.#context = context;
    this.#options = options;
    const { plan } = options;
    const { adoptions, native, nowUs, sessions, socketDirectory, unended } = context;
    const planned = new Set(plan.machines.filter(({ leave }) => !leave).map(({ session }) => session));
    this.adopted = adoptions.list().filter(({ session }) => planned.has(session));
    this.#suspension = new Suspension(
      {
        native,
        unended,
        socketDirectory,
        nowUs,
        reach: (pid, path) => socketSeenBy(context.paths.proc, pid, path),
        whereIs: (facts) => sessions.whereIs(facts),
        preserve: (file, signal) => this.#preserve(file, signal),
        mark: (session, change) => adoptions.stopped.mark(session, change),
        isThere: async ({ pid, startTime }) =>
          (await identify(context.paths.proc, pid))?.startTime === startTime,
        namedMemory: async ({ machine }) => {
          const sources = { native, take: context.take, whereIs: sessions.whereIs.bind(sessions) };
          return placesOfMemory(sources, await context.look(machine.pid), machine.command.words);
        },
        facts: (adopted) => this.#factsOf(adopted),
        ...limitsIn(plan),
        writeAhead: options.writeAhead,
        stopping: options.stopping,
        changed: options.changed,
        isStopped: (session) => adoptions.stopped.isStopped(session),
        signal: options.signal,
      },
      this.adopted,
      plan.ifMachineFails,
      options.brownoutFromUs,
      plan.machines.filter(({ leave }) => leave),
    );
  }

  /** How each machine stands. */
  runs(): MachineRun[] {
    return this.#suspension.runs();
  }

  /** The machines that are stopped and saved. */
  get saved(): readonly SavedMachine[] {
    return this.#suspension.saved;
  }

  /** Those of them that will still be carried over. */
  get coming(): readonly Adopted[] {
    return this.#suspension.coming;
  }

  /** Preserves what has come to a machine since it was adopted; it runs. @throws Refusal */
  async protect(session: string, following: Following): Promise<void> {
    await this.#context.adoptions.protect(session, this.#options.actor, following);
  }

  /** The machines with the facts of their VMMs, once everything is ready. */
  get ready(): readonly { adopted: Adopted; facts: VmmFacts | null }[] {
    return this.#suspension.facts();
  }

  /** The machines as they would be saved, without what is known only once they are stopped. */
  get onTrial(): SavedMachine[] {
    return this.ready.flatMap(({ adopted, facts }) =>
      facts === null ? [] : [trialMachine(adopted, facts).saved],
    );
  }

  /** Makes everything ready to stop them. @throws NotSaved */
  async prepare(): Promise<void> {
    await this.#suspension.prepare();
  }

  /** Tells clients how they stand. */
  show(): void {
    this.#options.changed();
  }

  /** Stops and saves them all; clients are not told. @throws NotSaved */
  async suspend(): Promise<void> {
    await this.#suspension.save();
  }

  /** Leaves a machine behind that was to be carried over: it runs on here. @throws NotSaved under the policy `stop` */
  leave(pid: number, reason: string): void {
    this.#suspension.leave(pid, reason);
  }

  /**
   * Leaves those behind that somebody else has let run since they were saved.
   *
   * @returns whether there was one
   * @throws NotSaved under the policy `stop`
   */
  leaveStarted(): boolean {
    return this.#suspension.leaveStarted();
  }

  /** Makes sure, for the last time, that they all are as they were saved. @throws NotSaved */
  async needStopped(): Promise<void> {
    await this.#suspension.needStopped();
  }

  /** Makes sure that no VMM has told of a machine that runs again since it was saved. @throws NotSaved */
  needNotStarted(): void {
    this.#suspension.needNotStarted();
  }

  /** Lets them all run on in this kernel. @returns what went wrong, in words */
  async letRunOn(): Promise<string[]> {
    return await this.#suspension.letRunOn();
  }

  /** Says of machines that were still stopped when their update ended that they run, once they do. */
  noticeRunning(): void {
    this.#suspension.noticeRunning();
  }

  /** Closes monitors, sockets and files. */
  close(): void {
    this.#suspension.close();
  }

  /**
   * What a machine's VMM needs. If that is unknown, so are its rights, and it could be started with more of them.
   *
   * @throws Error if it is unknown, or there is no resume program for the machine: then nobody could bring it back
   */
  async #factsOf(adopted: Adopted): Promise<VmmFacts> {
    const { blockFiles, paths } = this.#context;
    const facts = await vmmFacts(paths, adopted.machine, blockFiles.of(adopted.machine));
    const onTrial = trialMachine(adopted, facts);
    encodeProgram(compileProgram({ index: indexSessionName, machines: [onTrial] }));
    return facts;
  }

  async #preserve(file: Descriptor, signal: AbortSignal): Promise<Place> {
    const index = this.#options.index();
    if (index === null) throw new NotSaved('there is no index session to preserve its state in');
    return await index.preserve(file, signal);
  }
}
