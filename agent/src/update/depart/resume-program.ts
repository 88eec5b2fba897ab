// SPDX-License-Identifier: Apache-2.0
/**
 * The resume program that an update leaves for a kernel that starts with the carrier. Which machines are in it is decided
 * while they run. It is encoded and has its place in the index session then, too. Once they are saved it is completed and
 * written there. A machine that is not in the program, or all if it is not there, are brought back by the agent. So nothing
 * here ends an update, except that the kernel does not come back.
 */
import type { Adopted } from '../../adoption/adoption-context.ts';
import type { SavedMachine } from '../../adoption/saved-machine.ts';
import { usualCapabilities } from '../../adoption/taking-in.ts';
import type { VmmFacts } from '../../adoption/vmm-facts.ts';
import type { HostPaths } from '../../host/paths.ts';
import { saidBy } from '../../host/said-by.ts';
import { NotPreservedInTime } from '../../liveupdate/preserve-in-time.ts';
import { indexSessionName } from '../../liveupdate/tokens.ts';
import { memoryFilesOf } from '../../qemu/restart-command.ts';
import { compileProgram, type ProgramMachine, type ProgramParts } from '../program/compile.ts';
import { encodeProgram } from '../program/encode.ts';
import { startsCarrier } from '../program/first-program.ts';
import { type KernelModules, modulesOf } from '../program/kernel-modules.ts';
import { ProgramAhead } from '../program/program-ahead.ts';
import { startOrder } from '../program/start-order.ts';
import type { OutgoingIndex } from '../record/index-session.ts';
import type { UpdateContext } from '../record/update-context.ts';

/** What it works with, of the whole context. */
type ProgramContext = Pick<UpdateContext, 'log' | 'together' | 'needLimitS'> & {
  readonly paths: Pick<HostPaths, 'proc'>;
};

/** Bytes of each machine's memory by its session; null if that is not known. */
type MemoryOf = ReadonlyMap<string | null, number | null>;

/** The program of an update into this kernel with this command line; null if nothing there would read it. */
export const programFor = (
  context: ProgramContext,
  commandLine: string,
  release: string,
): ResumeProgram | null =>
  startsCarrier(commandLine)
    ? new ResumeProgram(context, modulesOf(context, { release, commandLine }))
    : null;

export class ResumeProgram {
  readonly #context: ProgramContext;
  readonly #modules: KernelModules | null;
  /** Sessions of the machines that the carrier can bring back. */
  readonly #sessions = new Set<string>();
  /** They as they would be saved. */
  #onTrial: readonly ProgramMachine[] = [];
  /** The program as it is before the machines are saved; null if that is not known. */
  #ahead: ProgramAhead | null = null;

  constructor(context: ProgramContext, modules: KernelModules | null) {
    this.#context = context;
    this.#modules = modules;
  }

  /** Compiles a program on trial. The machines run. @param machines with null for facts that are unknown */
  prepare(machines: readonly { adopted: Adopted; facts: VmmFacts | null }[]): void {
    const { log } = this.#context;
    let onTrial: readonly ProgramMachine[] = [];
    for (const { adopted, facts } of machines) {
      // That is logged already.
      if (facts === null) continue;
      const { session } = adopted;
      if (facts.obstacle !== null)
        log('info', 'the agent will bring a machine back', { session, reason: facts.obstacle });
      else {
        // What has no room is left out now, not once it is stopped.
        const more = this.#withOne(indexSessionName, onTrial, session, () => trialMachine(adopted, facts));
        if (more !== null) this.#sessions.add(session);
        onTrial = more ?? onTrial;
      }
    }
    this.#onTrial = onTrial;
  }

  /** Compiles the program on trial once more, and completes it. */
  compileOnTrial(): void {
    this.#encoded(indexSessionName, this.#onTrial);
    this.#encodedAhead(indexSessionName, this.#onTrial)?.completed(this.#onTrial);
  }

  /**
   * Encodes the program as far as it is known, and makes room for it in the index session. The machines run.
   *
   * @param coming the machines as they will be saved
   * @throws NotPreservedInTime
   */
  async writeAhead(
    index: Pick<OutgoingIndex, 'name' | 'makeProgramRoom'>,
    coming: readonly SavedMachine[],
    memory: MemoryOf,
  ): Promise<void> {
    this.#ahead = this.#encodedAhead(index.name, this.#known(coming, memory));
    if (this.#ahead === null) return;
    try {
      await index.makeProgramRoom(this.#ahead.bytes);
    } catch (error) {
      if (error instanceof NotPreservedInTime) throw error;
      this.#without(error);
    }
  }

  /**
   * Compiles the program, or completes the one that was encoded ahead. The machines are stopped.
   *
   * @param index the name of the index session
   * @returns null if there is none, which the log says
   */
  compile(index: string, saved: readonly SavedMachine[], memory: MemoryOf = new Map()): Buffer | null {
    const known = this.#known(saved, memory);
    try {
      return this.#ahead?.completed(known) ?? this.#encoded(index, known);
    } catch (error) {
      this.#without(error);
      return null;
    }
  }

  /** Leaves a compiled program in the index session. @throws NotPreservedInTime */
  async leave(index: Pick<OutgoingIndex, 'writeProgram'>, program: Buffer): Promise<void> {
    try {
      await index.writeProgram(program);
    } catch (error) {
      if (error instanceof NotPreservedInTime) throw error;
      this.#without(error);
    }
  }

  /** The machines that will be in the program, in their order. */
  #known(saved: readonly SavedMachine[], memory: MemoryOf): ProgramMachine[] {
    const inOrder = startOrder(saved, ({ session }) => memory.get(session) ?? null);
    return inOrder.flatMap((machine): ProgramMachine[] => {
      const { facts, session } = machine;
      return facts !== null && this.#sessions.has(session) ? [{ saved: machine, facts }] : [];
    });
  }

  /** @returns null if it is not known yet where a state will be, or the program has no room for all */
  #encodedAhead(index: string, machines: readonly ProgramMachine[]): ProgramAhead | null {
    if (machines.some(({ saved }) => saved.state === null)) return null;
    try {
      return new ProgramAhead(this.#parts(index, machines));
    } catch {
      // Compiling once they are saved leaves out what has no room, and says so.
      return null;
    }
  }

  #without(error: unknown): void {
    const problem = saidBy(error);
    this.#context.log('warning', 'there is no resume program: the agent will bring the machines back', {
      problem,
    });
  }

  #parts(index: string, machines: readonly ProgramMachine[]): ProgramParts {
    const { together, needLimitS: limitS } = this.#context;
    return { index, machines, together, limitS, modules: this.#modules };
  }

  #compiled(index: string, machines: readonly ProgramMachine[]): Buffer {
    return encodeProgram(compileProgram(this.#parts(index, machines)));
  }

  /** The program of all machines, or of those for which there is room: only now is it known what was recorded. */
  #encoded(index: string, machines: readonly ProgramMachine[]): Buffer {
    try {
      return this.#compiled(index, machines);
    } catch {
      let fitting: readonly ProgramMachine[] = [];
      for (const one of machines)
        fitting = this.#withOne(index, fitting, one.saved.session, () => one) ?? fitting;
      return this.#compiled(index, fitting);
    }
  }

  /** Those machines, and one more. @returns null if that cannot be with them, which the log says */
  #withOne(
    index: string,
    before: readonly ProgramMachine[],
    session: string,
    one: () => ProgramMachine,
  ): readonly ProgramMachine[] | null {
    try {
      const machines = [...before, one()];
      this.#compiled(index, machines);
      return machines;
    } catch (error) {
      const problem = saidBy(error);
      this.#context.log('warning', 'a machine cannot be in the resume program', { session, problem });
      return null;
    }
  }
}

/** A machine as it would be saved, without what is known only once it is stopped. */
export function trialMachine({ session, machine }: Adopted, facts: VmmFacts): ProgramMachine {
  const { name, definition, way, priority, pid, command, monitor } = machine;
  const state = { token: '0x0', cprBytes: 0, mainBytes: 0 };
  const files = way === 'whole_state' ? [] : memoryFilesOf(command.words);
  const memory = files.map(({ backend }) => ({ backend, session, token: state.token }));
  // Its memory is in its own session.
  const pieces = way === 'cpr' ? [{ bytes: 0, files: [{ session, token: state.token }] }] : [];
  const saved: SavedMachine = {
    ...{ name, session, definition, way, priority, pid, command, monitor, ran: true, state },
    capabilities: usualCapabilities,
    ...{ pieces, memory, facts, brownoutUs: null, suspendedAtUs: null, savedAtUs: null },
  };
  return { saved, facts };
}
