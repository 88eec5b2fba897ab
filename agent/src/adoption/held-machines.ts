// SPDX-License-Identifier: Apache-2.0
/**
 * Machines that an update could not start again. Each has its memory, its record and its state in its own session, and
 * lives through further updates like that. It can be tried again as long as its guest has not run since it was saved, or
 * be given up. Another attempt may have other names on the command line (`other-names.ts`). An agent that dies in one
 * leaves it to the carrier, and the next agent finds the machine in its unit.
 */
import { createHash } from 'node:crypto';
import type { Descriptor, Memory, Native } from '@luo-console/native';
import * as v from 'valibot';
import type { HostPaths } from '../host/paths.ts';
import { Refusal } from '../host/refusal.ts';
import { saidBy } from '../host/said-by.ts';
import { Serial } from '../host/serial.ts';
import type { HeldMachine, NameChange } from '../interface/agent.generated.ts';
import type { Journal } from '../journal/index.ts';
import type { HeldSession } from '../liveupdate/held-session.ts';
import { type Actor, agentItself } from '../liveupdate/live-update-context.ts';
import type { Place } from '../liveupdate/session-entries.ts';
import type { SessionStore } from '../liveupdate/sessions.ts';
import type { Adoptions } from './adoptions.ts';
import { needDisksAlone } from './disks-in-use.ts';
import { namesOf, withOtherNames } from './other-names.ts';
import { readMark } from './restart-mark.ts';
import { RanPerhaps, type RestoreMachine, runStarted, unitNameOf, type VmmStarter } from './restore.ts';
import { SavedMachine } from './saved-machine.ts';
import { checkLabel } from './vmm-label.ts';

const memoryLabel = 'memory of a machine that does not run';

/** What is kept of a machine beside its memory, as its descriptors are labelled. */
export const heldLabels = {
  record: 'record of a machine that does not run',
  state: 'state of a machine that does not run',
  /** @param token where the index had it */
  memory: (token: string): string => `${memoryLabel}, ${token} of the index`,
};

export interface HeldContext {
  readonly native: Native;
  readonly paths: Pick<HostPaths, 'proc' | 'sys'>;
  readonly sessions: SessionStore;
  readonly adoptions: Pick<Adoptions, 'list' | 'moved' | 'stopped'>;
  readonly journal: Journal;
  readonly starter: VmmStarter;
  /** Has a machine run again. */
  readonly restore: RestoreMachine;
  readonly socketDirectory: string;
  /** @throws Refusal WrongPhase unless the host is in phase *normal* */
  needNormal(): void;
  log(level: 'warning', message: string, fields: Record<string, unknown>): void;
}

/** A held machine with what is in hand of it. */
interface Kept {
  readonly session: HeldSession;
  readonly name: string;
  /** Null if its record does not fit. */
  readonly saved: SavedMachine | null;
  readonly state: Descriptor | null;
  readonly problem: string | null;
  /** What its copies have as their source. */
  readonly attempt: string;
}

/** Longest record that is read, in bytes. */
const longestRecord = 8 * 1024 * 1024;

export class HeldMachines {
  readonly #context: HeldContext;
  /** One after the other, so that nothing is started twice. */
  readonly #serial = new Serial();
  #under = 0;

  constructor(context: HeldContext) {
    this.#context = context;
  }

  /** All of them, in the order of their sessions. */
  list(): HeldMachine[] {
    return this.#all().map(({ session, name, problem, saved }) => ({
      ...{ session: session.name, name, problem, size: session.toBrief().size },
      way: session.machine?.way ?? 'none',
      names: saved !== null && problem === null ? namesOf(saved) : [],
    }));
  }

  /**
   * Starts a held machine with its memory and its state, and enters it as adopted.
   *
   * @param changes other names on the command line. What is kept of the machine has the old ones if it does not start.
   * @returns the new VMM's process
   * @throws Refusal SessionNotFound; InvalidValue for a change that cannot be made; MachineUnusable if it is not held or
   *   cannot be started. It stays as it was then.
   */
  async retry(session: string, changes: readonly NameChange[], actor: Actor): Promise<number> {
    return await this.#exclusively(async () => {
      this.#context.needNormal();
      const kept = this.#get(session);
      const { name, saved, state, problem } = kept;
      if (problem !== null || saved === null || state === null)
        throw unusable(name, `it cannot be tried again: ${problem}`);
      const { adoptions, journal, paths } = this.#context;
      const machine = await withOtherNames(paths, saved, changes);
      const changed = changes.length === 0 ? {} : { changes };
      const fields = { session, peer: actor.peer, parameters: { name, way: saved.way, ...changed } };
      const pid = await journal.act('machine.retry', fields, async () => {
        const started = await this.#start(kept, machine, state).catch((error: unknown) => {
          throw unusable(name, saidBy(error));
        });
        checkLabel(this.#context, saved, started);
        await adoptions.moved(session, started);
        return started;
      });
      await this.#forget(kept.session, actor);
      await adoptions.stopped.letRunOn();
      return pid;
    });
  }

  /**
   * Closes the session of a held machine: its memory and its state are freed.
   *
   * @throws Refusal SessionNotFound; MachineUnusable if it is not held
   */
  async abandon(session: string, actor: Actor): Promise<void> {
    await this.#exclusively(async () => {
      this.#context.needNormal();
      const { name } = this.#get(session);
      const { journal, sessions } = this.#context;
      const fields = { session, peer: actor.peer, parameters: { name } };
      await journal.act('machine.abandon', fields, () => sessions.close(session, actor));
    });
  }

  /**
   * Enters machines that run as adopted, although an agent before this one died while it had them tried again. The
   * carrier has gone on without it, so it is waited for. Nothing is started here, and nothing is loaded. Takes out what is
   * still kept of machines that run: its state must never be loaded again.
   */
  async takeOver(): Promise<void> {
    await this.#exclusively(async () => {
      for (const kept of this.#all()) {
        try {
          await this.#takeOverOne(kept);
        } catch (error) {
          const fields = { session: kept.session.name, problem: saidBy(error) };
          this.#context.log('warning', 'whether a held machine runs is unknown', fields);
        }
      }
      // An agent may have kept it, and died, and the next one brought it back from the index. That copy is too old.
      const { adoptions, native, sessions } = this.#context;
      for (const { session } of adoptions.list())
        if (keptRecord(native.memory, sessions.get(session)) !== null)
          await this.#forget(sessions.get(session), agentItself);
    });
  }

  async #takeOverOne({ session, name, saved, state }: Kept): Promise<void> {
    if (saved === null || state === null) return;
    const { adoptions, journal, native, paths, starter, log } = this.#context;
    await starter.settle(saved);
    if (readMark(native.memory, state, saved) !== 'running') return;
    const fields = { session: session.name, parameters: { name, way: saved.way } };
    const { pid } = await runStarted({ native, paths, machine: saved, starter, log });
    checkLabel(this.#context, saved, pid);
    await journal.giveBack('machine.found', fields, () => adoptions.moved(session.name, pid));
    await this.#forget(session, agentItself);
  }

  /** Whether there is any. */
  get any(): boolean {
    return sessionsNotRunning(this.#context).some((session) => fileOf(session, heldLabels.record) !== null);
  }

  /** Whether a machine is being started or given up: no update may begin meanwhile. */
  get busy(): boolean {
    return this.#under > 0;
  }

  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    this.#under += 1;
    try {
      return await this.#serial.run(work);
    } finally {
      this.#under -= 1;
    }
  }

  #get(name: string): Kept {
    const session = this.#context.sessions.get(name);
    const kept = this.#all().find((each) => each.session === session);
    if (kept) return kept;
    throw unusable(session.machine?.name ?? name, `session "${name}" has no machine that is held`);
  }

  #all(): Kept[] {
    return sessionsNotRunning(this.#context).flatMap((session) => {
      const record = keptRecord(this.#context.native.memory, session);
      return record === null ? [] : [this.#read(session, session.machine?.name ?? session.name, record)];
    });
  }

  #read(session: HeldSession, name: string, record: Buffer): Kept {
    const { memory } = this.#context.native;
    const attempt = attemptOf(record.toString('utf8'));
    const state = fileOf(session, heldLabels.state, attempt);
    const kept = { session, name, state, attempt, saved: null };
    let stored: unknown;
    try {
      stored = JSON.parse(record.toString('utf8'));
    } catch (error) {
      return { ...kept, problem: `its record cannot be read: ${saidBy(error)}` };
    }
    const parsed = v.safeParse(SavedMachine, stored);
    if (!parsed.success) return { ...kept, problem: `its record does not fit: ${parsed.issues[0].message}` };
    const saved = parsed.output;
    if (state === null) return { ...kept, saved, problem: 'its state is missing' };
    if (readMark(memory, state, saved) === 'running')
      return { ...kept, saved, problem: 'the guest may have run since its state was saved' };
    return { ...kept, saved, problem: null };
  }

  async #start({ session, attempt }: Kept, machine: SavedMachine, state: Descriptor): Promise<number> {
    const { native, paths, restore, sessions, socketDirectory, starter, log } = this.#context;
    await needDisksAlone(paths, machine);
    const file = ({ session: from, token }: Place): Descriptor => {
      const own = sessions.has(from) ? sessions.get(from).files.get(BigInt(token)) : undefined;
      const found = own ?? fileOf(session, heldLabels.memory(token), attempt);
      if (found) return found;
      throw new Error(`descriptor ${token} of session ${from} is missing; it was not started without it`);
    };
    try {
      return await restore({
        ...{ native, paths, machine, state, file, starter, socketDirectory, log },
        reached: () => {},
      });
    } catch (error) {
      if (!(error instanceof RanPerhaps)) throw error;
      // It was told to run, and what came after that failed: it is asked how it is, and not left to itself.
      return (await runStarted({ native, paths, machine, starter, log })).pid;
    }
  }

  /** Takes out what was kept of a machine that runs again. If that fails it is in the way of nothing: its mark says so. */
  async #forget(session: HeldSession, actor: Actor): Promise<void> {
    const entries = session.manifest?.entries() ?? [];
    for (const { token, label } of entries.filter((entry) => isKept(entry.label))) {
      try {
        await this.#context.sessions.remove(session.name, BigInt(token), actor);
      } catch (error) {
        const fields = { session: session.name, label, problem: saidBy(error) };
        this.#context.log('warning', 'what was kept of a held machine stays in its session', fields);
      }
    }
  }
}

const isKept = (label: string): boolean =>
  [heldLabels.record, heldLabels.state].includes(label) || label.startsWith(memoryLabel);

const unusable = (name: string, reason: string): Refusal =>
  new Refusal('MachineUnusable', { pid: 0, name, reason });

/** The sessions of machines that do not run under a process of this boot. */
export function sessionsNotRunning({
  adoptions,
  sessions,
}: Pick<HeldContext, 'adoptions' | 'sessions'>): HeldSession[] {
  const running = new Set(adoptions.list().map(({ session }) => session));
  return sessions.list().filter(({ machine, name }) => machine !== null && !running.has(name));
}

/** The record that is kept of a machine; null if none is. */
export function keptRecord(memory: Memory, session: HeldSession): Buffer | null {
  const file = fileOf(session, heldLabels.record);
  return file && memory.read(file, 0n, longestRecord);
}

/** What tells the copies of one saved state from those of another update: it is their source. @param record as text */
export const attemptOf = (record: string): string =>
  `index of the update, record ${createHash('sha256').update(record).digest('hex').slice(0, 16)}`;

/** The newest file with a label, of one source if that is given. */
function fileOf(session: HeldSession, label: string, source?: string): Descriptor | null {
  const entry = session.manifest
    ?.entries()
    .findLast((each) => each.label === label && (source === undefined || each.source === source));
  return entry ? (session.files.get(BigInt(entry.token)) ?? null) : null;
}
