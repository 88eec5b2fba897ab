// SPDX-License-Identifier: Apache-2.0
/**
 * The machines of one live update, on this side of the kexec. They are made ready while they run, and stopped and saved
 * all at once. If the kexec does not happen, they run on. The next kernel gets their `SavedMachine`s. The files with the
 * states are preserved in the index session (`state-file.ts`), and end with it.
 */
import type { Descriptor } from '@luo-console/native';
import { unlessAborted } from '../host/in-time.ts';
import { saidBy } from '../host/said-by.ts';
import type { FailurePolicy, MachineRun } from '../interface/agent.generated.ts';
import { NotPreservedInTime } from '../liveupdate/preserve-in-time.ts';
import type { Place } from '../liveupdate/session-entries.ts';
import { memoryFilesOf } from '../qemu/restart-command.ts';
import type { Adopted } from './adoption-context.ts';
import { problemOfSaved } from './last-question.ts';
import { placedPieces } from './placed-pieces.ts';
import { type Leaving, runOnInTime, runOnLeftBehind } from './run-on.ts';
import { emptyRun, newRun, savedMachine, type Unsaved } from './run-records.ts';
import { MachineSaver } from './save.ts';
import type { SavedMachine } from './saved-machine.ts';
import type { SuspensionContext } from './suspension-context.ts';
import type { VmmFacts } from './vmm-facts.ts';

interface Member extends Unsaved, Leaving {
  run: MachineRun;
  saver: MachineSaver | null;
  memory: SavedMachine['memory'];
  facts: VmmFacts | null;
  pieces: SavedMachine['pieces'];
  saved: SavedMachine | null;
  /** How it is since it was left behind and let go on; null if it was not. */
  since: string | null;
}

/**
 * Bytes of state to have pages ready for: a bare machine needs 77 kB. Where the file is preserved ahead, each page takes the
 * kexec and the next kernel some µs.
 */
const usualStateBytes = 1024 * 1024;

/** How long nobody is told how far the saving is, in ms. */
const silenceMs = 500;

/** A machine could not be saved. */
export class NotSaved extends Error {
  override readonly name = 'NotSaved';
}

export class Suspension {
  readonly #context: SuspensionContext;
  readonly #members: readonly Member[];
  readonly #policy: FailurePolicy;
  readonly #brownoutFromUs: number;

  /**
   * @param brownoutFromUs when *preserving* began
   * @param left machines to leave behind
   */
  constructor(
    context: SuspensionContext,
    machines: readonly Adopted[],
    policy: FailurePolicy,
    brownoutFromUs: number,
    left: readonly { name: string; pid: number; session: string | null }[],
  ) {
    this.#context = context;
    this.#policy = policy;
    this.#brownoutFromUs = brownoutFromUs;
    this.#signal = AbortSignal.any([context.signal, this.#ending.signal]);
    this.#members = machines.map((adopted) => ({
      adopted,
      run: newRun(adopted),
      saver: null,
      memory: [],
      facts: null,
      pieces: [],
      saved: null,
      leaving: null,
      isLate: false,
      since: null,
    }));
    this.#left = left.map(({ name, pid, session }) => ({
      ...emptyRun(name, pid),
      // The next kernel's agent closes it: nobody would ever ask for what is in it.
      session,
      stage: 'left_behind',
      detail: 'left behind, as planned',
    }));
  }

  readonly #left: readonly MachineRun[];
  /** Whether all run on in this kernel: then nothing costs a machine any more. */
  #over = false;
  /** Whether nobody is told of changes for now. */
  #silent = false;
  /** Ends the saving of all others, where one that fails ends the update. */
  readonly #ending = new AbortController();
  /** Fires when the update ends, for whatever reason. */
  readonly #signal: AbortSignal;
  #endedBy: Member | null = null;

  /** The state of each machine. */
  runs(): MachineRun[] {
    return [...this.#members.map(({ run }) => run), ...this.#left];
  }

  /** The facts of each machine's VMM, once it is ready to stop. */
  facts(): { adopted: Adopted; facts: VmmFacts | null }[] {
    return this.#members.map(({ adopted, facts }) => ({ adopted, facts }));
  }

  /** Whether there is any machine to stop. */
  get empty(): boolean {
    return this.#members.length === 0;
  }

  /** Prepares everything that is possible while the guests run. @throws NotSaved under the policy `stop` */
  async prepare(): Promise<void> {
    const { unended } = this.#context;
    await this.#each(async (member) => {
      const making = this.#makeReady(member);
      const what = `making ${member.run.name} ready to stop`;
      await unended.waitFor(what, making, { signal: this.#signal, heeds: true });
      this.#show(member, { detail: 'ready to stop' });
    });
  }

  /** One that is not waited for any more is as before, or that is noted. @throws NotSavable; QmpError; SystemError */
  async #makeReady(member: Member): Promise<void> {
    const { mark, native, nowUs, socketDirectory, reach, unended } = this.#context;
    const preserve = (file: Descriptor): Promise<Place> => this.#preserve(file);
    const { machine } = member.adopted;
    const memory = machine.way === 'whole_state' ? this.#context.memoryOf(member.adopted) : 0;
    if (machine.way !== 'whole_state' && memoryFilesOf(machine.command.words).length > 0)
      member.memory = await this.#context.namedMemory(member.adopted);
    const saver = await MachineSaver.prepare({
      native,
      unended,
      pid: machine.pid,
      way: machine.way,
      monitor: reach(machine.pid, machine.monitor),
      socketDirectory,
      user: machine.command,
      expectedBytes: usualStateBytes + (memory ?? 0),
      limitMs: this.#context.saveLimitMs(member.adopted),
      preserve: machine.way === 'whole_state' ? null : preserve,
      earlier: machine.before,
      note: (before) => mark(member.adopted.session, { before }),
      nowUs,
      signal: this.#signal,
    });
    if (this.#signal.aborted) {
      // Nobody else knows of it. What cannot be put back is noted, and whoever finds that does it.
      await saver.putBack().catch(() => {});
      saver.close();
      throw this.#signal.reason;
    }
    member.saver = saver;
    member.facts = await this.#context.facts(member.adopted);
  }

  /**
   * Stops the guests and records their states, all at once. The caller tells of the end, unless it fails.
   *
   * @returns what the next kernel's agent must know of them
   * @throws NotSaved under the policy `stop`
   */
  async save(): Promise<SavedMachine[]> {
    const { nowUs, mark, stopping } = this.#context;
    await this.#each(async (member) => {
      this.#show(member, { stage: 'suspending', detail: 'its descriptors are handed over' });
      const pieces = (await member.saver?.collect()) ?? [];
      member.pieces = await placedPieces(pieces, {
        ...this.#context,
        preserve: (file) => this.#preserve(file),
      });
    });
    await this.#writeAhead();
    for (const { adopted, saver } of this.#coming)
      if (saver) mark(adopted.session, { suspended: true, before: saver.before });
    // Telling clients takes time away from saving. They hear of it if that takes long, or fails.
    const telling = setTimeout(() => {
      this.#silent = false;
      this.#context.changed();
    }, silenceMs);
    this.#silent = true;
    try {
      for (const { saver } of this.#coming) saver?.expectState();
      stopping();
      for (const { saver } of this.#coming) saver?.stop();
      await this.#each(async (member) => {
        const saving = member.saver?.save();
        const suspendedAtUs = member.saver?.suspendedAtUs ?? nowUs();
        const brownoutUs = Math.max(0, suspendedAtUs - this.#brownoutFromUs);
        this.#show(member, {
          suspendedAtUs,
          brownoutUs,
          detail: 'it is stopped, and its state is being recorded',
        });
        const state = await saving;
        if (!state) return;
        const { cprBytes, mainBytes, recordedAtUs } = state;
        // That it is preserved is the first thing of what follows, where that is not done yet.
        const { token } = state.place ?? (await this.#preserve(state.file));
        member.saved = savedMachine(member, { token, cprBytes, mainBytes }, recordedAtUs);
        this.#show(member, {
          stage: 'saved',
          stateBytes: cprBytes + mainBytes,
          detail: `${cprBytes + mainBytes} bytes of state are preserved`,
        });
      });
    } catch (error) {
      this.#silent = false;
      this.#context.changed();
      throw error;
    } finally {
      clearTimeout(telling);
      this.#silent = false;
    }
    return this.saved;
  }

  /** What the next kernel's agent must know of the machines that are saved. */
  get saved(): SavedMachine[] {
    return this.#members.flatMap(({ saved }) => saved ?? []);
  }

  /**
   * Leaves a machine behind that was to be carried over, because something that it needs has failed. It runs on here.
   *
   * @throws NotSaved under the policy `stop`
   */
  leave(pid: number, reason: string): void {
    const member = this.#coming.find(({ run }) => run.pid === pid);
    if (member && !this.#over) this.#fail(member, `${member.run.name} cannot be carried over: ${reason}`);
  }

  /**
   * Leaves machines behind that somebody else has let run since they were saved, as far as their VMMs have told.
   *
   * @returns whether there was one
   * @throws NotSaved under the policy `stop`
   */
  leaveStarted(): boolean {
    const started = this.#coming.flatMap((member) => {
      const problem = member.saver?.problem ?? null;
      return problem === null ? [] : [{ member, problem }];
    });
    if (this.#over) return false;
    for (const { member, problem } of started)
      this.#fail(member, `${member.run.name} cannot be carried over: ${problem}`);
    return started.length > 0;
  }

  /** Makes sure that no VMM has told of a machine that is not as it was saved. @throws NotSaved */
  needNotStarted(): void {
    for (const { run, saver } of this.#coming)
      if (saver && saver.problem !== null)
        throw new NotSaved(`${run.name} cannot be carried over: ${saver.problem}`);
  }

  /**
   * Makes sure that every machine is still as it was saved: each VMM is asked once more, all at once and not for long.
   *
   * @throws NotSaved if one has run since, or that cannot be known
   */
  async needStopped(): Promise<void> {
    const asking = problemOfSaved(this.#coming, this.#context.isThere);
    const problem = await unlessAborted(asking, this.#context.signal);
    if (problem !== null) throw new NotSaved(problem);
  }

  /**
   * Lets every guest run on in this kernel. One that runs on already is left alone.
   *
   * @returns what went wrong, in words
   */
  async letRunOn(): Promise<string[]> {
    this.#over = true;
    const show = (member: Member) => (change: Partial<MachineRun>) => this.#show(member, change);
    const problems = await Promise.all(
      this.#members.map((member) => runOnInTime(member, this.#context, show(member))),
    );
    return problems.flat();
  }

  /** Says of machines that were still stopped when their update ended that they run, once they do. */
  noticeRunning(): void {
    for (const member of this.#members) {
      const { stage, detail } = member.run;
      if (stage === 'held' && !this.#context.isStopped(member.adopted.session))
        this.#show(member, { stage: 'running', detail: `it runs on now; before, ${detail}` });
    }
  }

  /** Closes monitors, sockets and files. */
  close(): void {
    for (const { saver, leaving } of this.#members) {
      // Its connection is the one over which it is told to run.
      if (leaving === null) saver?.close();
      else void leaving.catch(() => {}).then(() => saver?.close());
    }
  }

  /** Machines that will still be carried over. */
  get coming(): readonly Adopted[] {
    return this.#coming.map(({ adopted }) => adopted);
  }

  get #coming(): readonly Member[] {
    return this.#members.filter(({ run }) => run.stage !== 'left_behind');
  }

  /** Does something for every machine that will still be carried over; the policy decides about a failure. */
  async #each(work: (member: Member) => Promise<void>): Promise<void> {
    const coming = this.#coming;
    const ends = (member: Member, error: unknown): never => {
      if (this.#policy === 'stop') {
        this.#endedBy ??= member;
        this.#ending.abort(error);
      }
      throw error;
    };
    const done = await Promise.allSettled(
      coming.map((member) => work(member).catch((error: unknown) => ends(member, error))),
    );
    this.#context.signal.throwIfAborted();
    const failed = done.flatMap((result, index) => {
      const member = coming[index];
      if (result.status === 'fulfilled' || !member) return [];
      const problem = `${member.run.name} cannot be saved: ${saidBy(result.reason)}`;
      // The kernel is still at it, and the freeze would wait for that.
      if (result.reason instanceof NotPreservedInTime) throw new NotSaved(problem);
      return [{ member, problem }];
    });
    // The first one has ended the others.
    failed.sort(
      (one, other) => Number(other.member === this.#endedBy) - Number(one.member === this.#endedBy),
    );
    for (const { member, problem } of failed) this.#fail(member, problem);
  }

  /** Leaves a machine behind. It may take its time to run on, and nobody waits for that while others are stopped. */
  #fail(member: Member, problem: string): void {
    if (this.#policy === 'stop') throw new NotSaved(problem);
    member.saved = null;
    this.#show(member, { stage: 'left_behind', detail: problem });
    const leaving = async (): Promise<void> => {
      const { change, since } = await runOnLeftBehind(member, problem, this.#context);
      member.since = since;
      this.#show(member, change);
    };
    // If that fails its mark stays, and whoever finds that lets it run on.
    member.leaving = leaving().catch(() => {});
  }

  async #preserve(file: Descriptor): Promise<Place> {
    return await this.#context.preserve(file, this.#signal);
  }

  /** All but the lengths of the states is known now. */
  async #writeAhead(): Promise<void> {
    const { nowUs, writeAhead } = this.#context;
    const coming = this.#coming.map((member) =>
      savedMachine(member, member.saver?.stateAhead ?? null, nowUs()),
    );
    await writeAhead(coming).catch((error: unknown) => {
      this.#signal.throwIfAborted();
      throw new NotSaved(`no machine was stopped: ${saidBy(error)}`);
    });
    this.#signal.throwIfAborted();
  }

  #show(member: Member, change: Partial<MachineRun>): void {
    member.run = { ...member.run, ...change };
    if (!this.#silent) this.#context.changed();
  }
}
