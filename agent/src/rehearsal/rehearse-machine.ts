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
import { incomingSocketsIn } from '../adoption/taking-in.ts';
import type { VmmFacts } from '../adoption/vmm-facts.ts';
import type { HostPaths } from '../host/paths.ts';
import { saidBy } from '../host/said-by.ts';
import { makeMeetingPlace } from '../host/socket-directory.ts';
import type { Machine } from '../interface/agent.generated.ts';
import type { SessionStore } from '../liveupdate/sessions.ts';
import type { BlockFiles } from '../machines/block-files.ts';
import type { GivenFile } from '../units/rehearsal-unit.ts';
import { encodeProgram } from '../update/program/encode.ts';
import { profileObstacle } from '../update/program/profile-access.ts';
import { fileWith, whatItDid } from '../update/program/restore-machine.ts';
import { vmmFacts } from '../update/program/vmm-facts.ts';
import { whyNoDrivers } from './disk-words.ts';
import { type HarmlessWords, harmlessWords, NotRehearsable } from './harmless-words.ts';
import { nothing, type Outcome, outcomeOf, outputBytes, saidIn } from './outcome.ts';
import { placeIn, rehearsalProgram, savedIn } from './program.ts';
import type { RehearsalUnits } from './rehearsal-units.ts';
import { type StateContext, takeState } from './take-state.ts';
import { capabilitiesNow, hasPrivateViews, saidOfMachine, whyNotLoaded } from './what-is-loaded.ts';
import { writeOut } from './write-out.ts';

export interface RehearsalContext extends StateContext {
  readonly paths: Pick<HostPaths, 'proc' | 'sys'>;
  readonly native: Native;
  readonly sessions: SessionStore;
  readonly blockFiles: Pick<BlockFiles, 'of' | 'driversOf'>;
  readonly units: RehearsalUnits;
  /** @throws Refusal NoSuchProcess, NotAMachine */
  look(pid: number): Promise<Machine>;
  take(pid: number, fd: number): Descriptor;
}

/** What the names of directories begin with in which machines are rehearsed. */
export const purpose = 'rehearsal-';
/** After so long a rehearsal is ended by the service manager, in seconds. The carrier gives its VMM up before that. */
const unitLimitS = 240;
/** F_SEAL_GROW (fcntl(2)): a write beyond the end fails. */
const growSeal = 0x0004;

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
    // Nothing of the machine has been tried: the agent or the host could not, or it may not be done.
    return { ...nothing, left: [saidBy(error)] };
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
    const { version, monitorDetail } = this.#machine;
    const behind = whyNoDrivers(blockFiles.driversOf(machine));
    if (behind !== null) throw new NotRehearsable(behind);
    // Its version decides how it is started.
    if (version === null) throw new NotRehearsable(`its monitor cannot be asked: ${monitorDetail}`);
    const memory =
      way === 'whole_state' ? [] : placesOfMemory(this.#memorySources(), this.#machine, command.words);
    const isPrivate = hasPrivateViews(version);
    const whyNot = whyNotLoaded(way, this.#machine);
    const facts = await vmmFacts(paths, machine, blockFiles.of(machine));
    if (facts.unkept !== null)
      return { ...nothing, problem: `it cannot be started with the rights that it has: ${facts.unkept}` };
    const directory = this.#directory;
    const harmless = harmlessWords({
      words: command.words,
      monitor,
      backends: new Set(memory.map(({ backend }) => backend)),
      directory: placeIn(directory),
      isPrivate,
    });
    await this.#needLabelAllows(facts, harmless);
    const capabilities = await capabilitiesNow(this.#context, machine);
    const loads = whyNot === null;
    const parts = { machine, session, capabilities, facts, harmless, memory, directory, loads };
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
    const left: string[] = [...harmless.left, ...(whyNot === null ? [] : [whyNot])];
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
    let stoppedUs: number | null = null;
    const ranOn = (us: number): void => {
      stoppedUs = us;
    };
    try {
      const { pid } = this.#adopted.machine;
      const unwritten = await writeOut(this.#context, pid, this.#signal);
      if (unwritten !== null) throw new Error(unwritten);
      await takeState(this.#context, this.#adopted, state, use, this.#signal, ranOn);
      return { ...nothing, stoppedUs };
    } catch (error) {
      this.#signal.throwIfAborted();
      // Without a state the VMM is of no use any more.
      await this.#context.units.end(this.#adopted.session);
      const said = saidOfMachine(error);
      return 'problem' in said
        ? { ...nothing, stoppedUs, ...said }
        : { ...nothing, stoppedUs, left: [said.left] };
    }
  }

  /**
   * A profile of AppArmor that allows what an update has its VMM make may not allow what a rehearsal has.
   *
   * @throws NotRehearsable if it does not
   */
  async #needLabelAllows({ profile }: VmmFacts, { moved }: HarmlessWords): Promise<void> {
    if (profile === null) return;
    const made = [...moved.values(), ...Object.values(incomingSocketsIn(placeIn(this.#directory)))];
    const why = await profileObstacle(this.#context.paths.proc, profile, made);
    if (why !== null) throw new NotRehearsable(why);
  }
}

const pathOf = ({ fd }: Descriptor): string => `/proc/${process.pid}/fd/${fd}`;
