// SPDX-License-Identifier: Apache-2.0
/**
 * Rehearses one machine: its next VMM is started beside the running one, may load its state, and is ended. The resume
 * program and its executor are those of an update. What is different is in `harmless-words.ts` and in the unit.
 *
 * The guest is stopped only where its VMM waits for the state already. Memory is a view that is private to the new VMM, over
 * the files of the running one, which that VMM can only read.
 */
import { once } from 'node:events';
import { rmSync, watch, writeFileSync } from 'node:fs';
import type { Descriptor, Native } from '@luo-console/native';
import type { Adopted } from '../adoption/adoption-context.ts';
import { placesOfMemory } from '../adoption/named-memory.ts';
import type { RestartPoint } from '../adoption/restore.ts';
import type { HostPaths } from '../host/paths.ts';
import { saidBy } from '../host/said-by.ts';
import { makeMeetingPlace } from '../host/socket-directory.ts';
import type { Machine } from '../interface/agent.generated.ts';
import type { SessionStore } from '../liveupdate/sessions.ts';
import type { BlockFiles } from '../machines/block-files.ts';
import type { GivenFile } from '../units/rehearsal-unit.ts';
import { encodeProgram } from '../update/program/encode.ts';
import { fileWith, whatItDid } from '../update/program/restore-machine.ts';
import { vmmFacts } from '../update/program/vmm-facts.ts';
import { harmlessWords, NotRehearsable } from './harmless-words.ts';
import { nothing, type Outcome, outcomeOf, outputBytes, saidIn } from './outcome.ts';
import { placeIn, rehearsalProgram, savedIn } from './program.ts';
import type { RehearsalUnits } from './rehearsal-units.ts';
import { GuestPaused, type StateContext, TookTooLong, takeState } from './take-state.ts';
import { writeOut } from './write-out.ts';

export interface RehearsalContext extends StateContext {
  readonly paths: Pick<HostPaths, 'proc' | 'sys'>;
  readonly native: Native;
  readonly sessions: SessionStore;
  readonly blockFiles: Pick<BlockFiles, 'of'>;
  readonly units: RehearsalUnits;
  /** @throws Refusal NoSuchProcess, NotAMachine */
  look(pid: number): Promise<Machine>;
  take(pid: number, fd: number): Descriptor;
}

/** What the names of directories begin with in which machines are rehearsed. */
export const purpose = 'rehearsal-';
/** After so long a rehearsal is ended by the service manager, in seconds. */
const unitLimitS = 120;
/** F_SEAL_GROW (fcntl(2)): a write beyond the end fails. */
const growSeal = 0x0004;

/** QEMU from this version on can open a file of memory for reading and change its view of it. */
const privateViewsSince = [8, 2] as const;

function hasPrivateViews(version: string | null): boolean {
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
  const [firstMajor, firstMinor] = privateViewsSince;
  return major > firstMajor || (major === firstMajor && minor >= firstMinor);
}

/** Why the state of a machine is not loaded in a rehearsal; null if it is. */
function whyNotLoaded(way: Adopted['machine']['way'], { version, descriptors }: Machine): string | null {
  const isHuge = descriptors.some(({ kind, guestMemory }) => guestMemory && kind === 'hugetlb');
  const why =
    way === 'cpr'
      ? 'its memory is handed over in an update, and no second VMM can have a private view of it'
      : way === 'whole_state'
        ? 'its memory is part of its state, and its guest would be stopped until all of it is copied'
        : !hasPrivateViews(version)
          ? 'its QEMU cannot open memory for reading only'
          : isHuge
            ? 'its memory is in hugetlbfs, and what a second VMM writes would take more of that'
            : null;
  return why === null ? null : `loading its state: ${why}`;
}

/**
 * @param signal ends it early
 * @throws the signal's reason; Refusal NoSuchProcess. What else goes wrong is the result.
 */
export async function rehearseMachine(
  context: RehearsalContext,
  adopted: Adopted,
  signal: AbortSignal,
): Promise<Outcome> {
  const machine = await context.look(adopted.machine.pid);
  try {
    return await new OneRehearsal(context, adopted, machine, signal).run();
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof NotRehearsable) return { ...nothing, left: [`all of it: ${error.message}`] };
    return { ...nothing, problem: `it cannot be started: ${saidBy(error)}` };
  }
}

class OneRehearsal {
  readonly #context: RehearsalContext;
  readonly #adopted: Adopted;
  readonly #machine: Machine;
  readonly #signal: AbortSignal;
  readonly #open: Descriptor[] = [];
  readonly #directory: string;
  /** Set once the unit has ended. */
  #failure: { readonly error: unknown } | null = null;
  #isOver = false;

  constructor(context: RehearsalContext, adopted: Adopted, machine: Machine, signal: AbortSignal) {
    this.#context = context;
    this.#adopted = adopted;
    this.#machine = machine;
    this.#signal = signal;
    this.#directory = makeMeetingPlace(context.socketDirectory, null, purpose);
  }

  async run(): Promise<Outcome> {
    const { units } = this.#context;
    try {
      return await this.#rehearse();
    } finally {
      // First: the VMM is not to lose its files while it lives.
      // If that fails, it ends by itself after its limit.
      await units.end(this.#adopted.session).catch(() => {});
      for (const each of this.#open) each.close();
      rmSync(this.#directory, { recursive: true, force: true });
    }
  }

  async #rehearse(): Promise<Outcome> {
    const { blockFiles, native, paths, units } = this.#context;
    const { session, machine } = this.#adopted;
    const { way, command, monitor } = machine;
    const memory =
      way === 'whole_state' ? [] : placesOfMemory(this.#memorySources(), this.#machine, command.words);
    const isPrivate = hasPrivateViews(this.#machine.version);
    const whyNot = whyNotLoaded(way, this.#machine);
    const facts = await vmmFacts(paths, machine, blockFiles.of(machine));
    const directory = this.#directory;
    const harmless = harmlessWords({
      words: command.words,
      monitor,
      backends: new Set(memory.map(({ backend }) => backend)),
      directory: placeIn(directory),
      isPrivate,
    });
    const loads = whyNot === null;
    const parts = { machine, session, facts, harmless, memory, directory, loads };
    const program = this.#kept(fileWith(native, encodeProgram(rehearsalProgram(parts))));
    const state = this.#kept(native.memory.memfdCreate('luo-rehearsed-state'));
    const output = this.#output();
    const views = memory.map((place) => (loads ? this.#memoryAt(place) : this.#emptyAs(place)));
    const given = (file: Descriptor, name: string, readOnly: boolean): GivenFile => {
      return { path: pathOf(file), name, readOnly };
    };
    this.#signal.throwIfAborted();
    this.#follow(
      units.run({
        ...{ session, directory, output: pathOf(output), resources: facts.resources, limitS: unitLimitS },
        files: [
          given(program, 'program', true),
          given(state, 'state', false),
          ...views.map((file, number) => given(file, `memory${number}`, loads)),
        ],
      }),
    );
    await this.#until('loading', this.#signal);
    const left = [...harmless.left, ...(whyNot === null ? [] : [whyNot])];
    const taken = loads && this.#did().reached.has('loading') ? await this.#load(state) : nothing;
    await this.#until('end', this.#signal);
    return outcomeOf({
      did: this.#did(),
      taken: { ...taken, left: [...left, ...taken.left] },
      said: saidIn(native, output),
      failure: this.#failure?.error ?? null,
      moved: harmless.moved,
    });
  }

  /** What of the machine's memory is preserved where. */
  #memorySources() {
    const { native, sessions, take } = this.#context;
    return { native, take, whereIs: sessions.whereIs.bind(sessions) };
  }

  #memoryAt({ session, token }: { session: string; token: string }): Descriptor {
    const file = this.#context.sessions.get(session).files.get(BigInt(token));
    // The session may end meanwhile, and its number be another's memory by the time that the service manager opens it.
    if (file) return this.#kept(this.#context.native.descriptors.duplicate(file.fd));
    throw new Error(`descriptor ${token} of session ${session} is missing`);
  }

  /** Memory in which nothing is, and which takes no room. */
  #emptyAs(place: { session: string; token: string }): Descriptor {
    const { memory } = this.#context.native;
    const { size } = memory.fileFacts(this.#memoryAt(place));
    const file = this.#kept(memory.memfdCreate('luo-rehearsed-memory'));
    memory.truncate(file, BigInt(size));
    return file;
  }

  /** Takes what the VMM writes, and no more than there is room for. */
  #output(): Descriptor {
    const { memory } = this.#context.native;
    const file = this.#kept(memory.memfdCreate('luo-rehearsal-output', { allowSealing: true }));
    memory.truncate(file, BigInt(outputBytes));
    memory.addSeals(file, growSeal);
    return file;
  }

  #kept(file: Descriptor): Descriptor {
    this.#open.push(file);
    return file;
  }

  #follow(running: Promise<void>): void {
    running
      .catch((error: unknown) => {
        this.#failure = { error };
      })
      .finally(() => {
        this.#isOver = true;
        this.#ended.resolve();
      });
  }
  readonly #ended = Promise.withResolvers<void>();

  readonly #did = () => whatItDid(this.#context.native, this.#directory);

  /** Waits until the carrier has come so far, has failed, or is over. @throws the signal's reason */
  async #until(point: RestartPoint | 'end', signal: AbortSignal): Promise<void> {
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(signal.reason);
    signal.addEventListener('abort', abort);
    const changes = watch(this.#directory);
    try {
      for (;;) {
        signal.throwIfAborted();
        const changed = once(changes, 'change');
        const { reached, failed } = this.#did();
        if (this.#isOver || (point !== 'end' && (reached.has(point) || failed !== null))) return;
        await Promise.race([changed, this.#ended.promise, aborted.promise]);
      }
    } finally {
      changes.close();
      signal.removeEventListener('abort', abort);
      aborted.promise.catch(() => {});
    }
  }

  /** Has the state loaded. What keeps it from being taken is the machine's problem in an update as well. */
  async #load(state: Descriptor): Promise<Outcome> {
    const use = async (signal: AbortSignal): Promise<void> => {
      writeFileSync(savedIn(this.#directory), '');
      await this.#until('loaded', signal);
    };
    try {
      const unwritten = await writeOut(this.#context, this.#adopted.machine.pid, this.#signal);
      if (unwritten !== null) return await this.#without(unwritten);
      const stoppedUs = await takeState(this.#context, this.#adopted, state, use, this.#signal);
      return { ...nothing, stoppedUs };
    } catch (error) {
      this.#signal.throwIfAborted();
      if (error instanceof GuestPaused || error instanceof TookTooLong)
        return await this.#without(error.message);
      await this.#context.units.end(this.#adopted.session);
      return { ...nothing, problem: `its state cannot be taken or loaded: ${saidBy(error)}` };
    }
  }

  /** Without a state the VMM is of no use any more. */
  async #without(why: string): Promise<Outcome> {
    await this.#context.units.end(this.#adopted.session);
    return { ...nothing, left: [`loading its state: ${why}`] };
  }
}

const pathOf = ({ fd }: Descriptor): string => `/proc/${process.pid}/fd/${fd}`;
