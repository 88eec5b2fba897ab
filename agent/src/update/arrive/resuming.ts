// SPDX-License-Identifier: Apache-2.0
/**
 * The machines that an update brought here, while they are brought back: all side by side, and beside whatever else the
 * agent does. It answers calls meanwhile, so how each machine is can be seen.
 */
import { EventEmitter, on } from 'node:events';
import type { RestartLog } from '../../adoption/restore.ts';
import type { SavedMachine } from '../../adoption/saved-machine.ts';
import { keyOf, placesOf } from '../../adoption/saved-places.ts';
import { saidBy } from '../../host/said-by.ts';
import type { MachineRun, MachineStage } from '../../interface/agent.generated.ts';
import { clocksOf, SurvivingClock } from '../../kernel/surviving-clock.ts';
import { startOrder } from '../program/start-order.ts';
import { type HostMarks, partsOf, type WayBack, wayBackOf } from '../record/blackout-parts.ts';
import type { IndexContents, UnreadMachine } from '../record/index-record.ts';
import { carrierMarks, carrierPointsUs, onClockUs } from './carrier/carried-machine.ts';
import { type HeldMachine, heldMachine, unreadPlaces } from './held-machine.ts';
import { type MachineContext, newRun, type ResumedMachine, resumeMachine } from './resume-machine.ts';
import type { RetrievedFiles } from './retrieved-files.ts';
import { StartTurns, type Turn } from './start-turns.ts';

/** How the machines of the update that brought the host here fared. */
export interface ResumedMachines {
  readonly machines: readonly (ResumedMachine & Pick<WayBack, 'instructions'>)[];
  /** On the clock that goes on through the kexec, µs. */
  readonly times: {
    readonly retrievedAtUs: number;
    readonly resumedAtUs: number;
  };
  /** What is in hand of the machines that do not run: to be kept, for they can be tried again. */
  readonly held: readonly HeldMachine[];
  /** Machines whose records do not fit: none of them was started. */
  readonly unread: readonly UnreadMachine[];
}

export interface ResumingContext extends MachineContext {
  /** When this process began its work, ns of `CLOCK_BOOTTIME`. */
  readonly startedAt: bigint;
  /** How many machines are started at once. */
  readonly together: number;
}

/** How many machines a status names, and with how many characters each: systemd passes over one of more than 4 KiB. */
const mostNamed = 8;
const longestNamed = 150;

/** What is brought back. */
interface Brought {
  /** The name of the index session. */
  readonly index: string;
  readonly record: IndexContents;
  /** Closed once no machine needs them any more. */
  readonly files: RetrievedFiles;
}

/** A machine that is through, with when it ran, µs on the clock that goes on. */
type Through = ResumedMachines['machines'][number] & { readonly ranAtUs: number | undefined };

export class Resuming {
  /** Emits `changed`. */
  readonly events = new EventEmitter().setMaxListeners(0);
  /** Machines whose records do not fit. */
  readonly unread: readonly UnreadMachine[];
  /** Resolves once every machine runs, or is held or lost. */
  readonly done: Promise<ResumedMachines>;
  readonly #context: ResumingContext;
  readonly #brought: Brought;
  readonly #clock: SurvivingClock;
  readonly #agentMarks: HostMarks & { readonly agentStartedAtUs: number; readonly retrievedAtUs: number };
  readonly #runs: Map<SavedMachine, MachineRun>;
  readonly #through = new Set<MachineRun>();
  readonly #held: HeldMachine[];
  readonly #turns: StartTurns;

  constructor(context: ResumingContext, brought: Brought) {
    const { native, startedAt, carrier } = context;
    const { index, record, files } = brought;
    this.#context = context;
    this.#brought = brought;
    this.#clock = new SurvivingClock(clocksOf(native.kernel, context.paths.sys), record.clock);
    const kernelStartedAtUs = this.#clock.startedAtUs();
    this.#agentMarks = {
      kernelStartedAtUs,
      agentStartedAtUs: kernelStartedAtUs + Number(startedAt / 1000n),
      retrievedAtUs: this.#clock.nowUs(),
    };
    this.unread = record.unread;
    this.#held = record.unread.map((machine) => {
      const places = unreadPlaces(machine, index);
      return heldMachine(native, files, { ...machine, record: machine.stored, saved: null }, places);
    });
    this.#turns = new StartTurns(context.together);
    this.#runs = new Map(record.machines.map((saved) => [saved, newRun(saved)]));
    const changed = (): void => void this.events.emit('changed');
    carrier?.events.on('changed', changed);
    this.done = this.#resumeAll().finally(() => carrier?.events.off('changed', changed));
    // Whoever waits for it hears of it; until then nobody may.
    this.done.catch(() => {});
  }

  /** When it was begun to retrieve them, µs on the clock that goes on through the kexec. */
  get beganAtUs(): number {
    return this.#carrierMarks()?.agentStartedAtUs ?? this.#agentMarks.agentStartedAtUs;
  }

  /** When all of them was retrieved, likewise. */
  get retrievedAtUs(): number {
    return this.#carrierMarks()?.retrievedAtUs ?? this.#agentMarks.retrievedAtUs;
  }

  /** Whether every machine runs, or is held or lost. */
  get isOver(): boolean {
    return this.#through.size === this.#runs.size;
  }

  /** How each machine is now. */
  runs(): MachineRun[] {
    const news = this.#context.carrier?.news().machines;
    return [...this.#runs].map(([{ session }, run]) => {
      // The agent says nothing of one that it has not begun with.
      const logged = this.#through.has(run) || run.detail !== '' ? undefined : news?.get(session);
      if (logged === undefined) return run;
      const [last = null] = [...logged.reached.keys()].reverse();
      const detail = logged.waits === null ? 'the carrier brings it back' : `it waits ${logged.waits}`;
      return { ...run, stage: stageAt(last), detail };
    });
  }

  /** Machines that are not through yet, as they are now. */
  pending(): MachineRun[] {
    const through = new Set([...this.#through].map(({ session }) => session));
    return this.runs().filter(({ session }) => !through.has(session));
  }

  /** In words what the machines wait for; null once all are through. */
  saying(): string | null {
    const pending = this.pending();
    if (pending.length === 0) return null;
    const each = pending
      .slice(0, mostNamed)
      .map(({ name, detail }) => (detail === '' ? name : `${name}: ${detail}`).slice(0, longestNamed));
    const more = pending.length - each.length;
    return `bringing machines back: ${[...each, ...(more > 0 ? [`and ${more} more`] : [])].join('; ')}`;
  }

  /** Each machine once it runs, or is held or lost. */
  async *inTurn(): AsyncGenerator<MachineRun> {
    const told = new Set<MachineRun>();
    const changes = on(this.events, 'changed');
    try {
      for (;;) {
        for (const run of this.#through) {
          if (told.has(run)) continue;
          told.add(run);
          yield run;
        }
        if (told.size === this.#runs.size) return;
        await changes.next();
      }
    } finally {
      await changes.return?.();
    }
  }

  #carrierMarks(): HostMarks | null {
    const { carrier } = this.#context;
    return carrier && carrierMarks(carrier.news(), this.#agentMarks.kernelStartedAtUs);
  }

  async #resumeAll(): Promise<ResumedMachines> {
    const { files, record } = this.#brought;
    const { retrievedAtUs: now } = this.#agentMarks;
    const firstUs = Math.min(...record.machines.map(({ suspendedAtUs }) => suspendedAtUs ?? now));
    // In the order in which they were saved, whichever is started first.
    const ranks = new Map(startOrder(record.machines, this.#bytesOf).map((saved, rank) => [saved, rank]));
    const machines = await Promise.all(
      record.machines.map((saved) => this.#resumeOne(saved, firstUs, this.#turns.of(ranks.get(saved) ?? 0))),
    );
    for (const file of files.files.values()) file.close();
    const { retrievedAtUs } = this;
    const ran = machines.flatMap(({ broughtBackBy, ranAtUs }) =>
      broughtBackBy === 'carrier' && ranAtUs !== undefined ? [ranAtUs] : [],
    );
    // The carrier's, as far as it did the work.
    const resumedAtUs =
      ran.length > 0 && ran.length === machines.length ? Math.max(...ran) : this.#clock.nowUs();
    return { machines, held: this.#held, unread: this.unread, times: { retrievedAtUs, resumedAtUs } };
  }

  /** Never throws: one machine must not keep the others from being settled. */
  async #resumeOne(saved: SavedMachine, firstUs: number, turn: Turn): Promise<Through> {
    const through = await this.#tryOne(saved, firstUs, turn).catch((error: unknown): Through => {
      const run = { ...newRun(saved), stage: 'held' as const, detail: `it does not run: ${saidBy(error)}` };
      return { saved, run, broughtBackBy: null, ranAtUs: undefined, instructions: [] };
    });
    if (through.run.stage !== 'resumed') this.#hold(saved);
    this.#runs.set(saved, through.run);
    this.#through.add(through.run);
    this.events.emit('changed');
    return through;
  }

  /** How much memory of a machine is in hand. */
  readonly #bytesOf = (saved: SavedMachine): number => {
    const { index, files } = this.#brought;
    const { memory } = this.#context.native;
    const own = [...new Set(placesOf(saved, index).map(keyOf))].flatMap((key) => files.files.get(key) ?? []);
    return own.reduce((sum, file) => sum + Number(memory.fileFacts(file).size), 0);
  };

  #hold(saved: SavedMachine): void {
    const { index, files } = this.#brought;
    const own = placesOf(saved, index).filter(({ session }) => session === index);
    try {
      const held = heldMachine(this.#context.native, files, { ...saved, record: saved, saved }, own);
      this.#held.push(held);
    } catch (error) {
      // Nothing of it is in hand, so the index is kept.
      this.#context.log('error', 'what is kept of a machine cannot be copied', {
        session: saved.session,
        problem: saidBy(error),
      });
      this.#held.push({ ...saved, record: saved, saved, files: [] });
    }
  }

  async #tryOne(saved: SavedMachine, firstUs: number, turn: Turn): Promise<Through> {
    const { index, files } = this.#brought;
    const { kernelStartedAtUs } = this.#agentMarks;
    let reached: Map<string, number> = new Map();
    const logs: RestartLog[] = [];
    const { run, broughtBackBy, carried } = await resumeMachine({
      ...{ context: this.#context, files, index, saved, turn },
      shows: (stage, detail) => this.#show(saved, stage, detail),
      reached: (point, atNs) => {
        reached.set(point, atNs === undefined ? this.#clock.nowUs() : onClockUs(kernelStartedAtUs, atNs));
        this.#show(saved, stageAt(point), 'the agent brings it back');
      },
      logged: (log) => logs.push(log),
    });
    const carrier = this.#carrierMarks();
    if (broughtBackBy === 'carrier' && carried)
      reached = carrierPointsUs(saved, carried, kernelStartedAtUs, reached);
    const marks = broughtBackBy === 'carrier' && carrier ? carrier : this.#agentMarks;
    const parts = partsOf(saved, marks, reached, firstUs);
    const ranAtUs = reached.get('running');
    const blackoutUs = ranAtUs === undefined ? null : Math.max(0, ranAtUs - (saved.suspendedAtUs ?? ranAtUs));
    if (carried) logs.unshift(carried.log);
    const { waits, failedAt, instructions } = wayBackOf(logs, { kernelStartedAtUs, firstUs });
    const whole = { ...run, parts, blackoutUs, waits, failedAt };
    return { saved, run: whole, broughtBackBy, ranAtUs, instructions };
  }

  #show(saved: SavedMachine, stage: MachineStage, detail: string): void {
    this.#runs.set(saved, { ...newRun(saved), stage, detail });
    this.events.emit('changed');
  }
}

const stageAt = (point: string | null): MachineStage => {
  if (point === null) return 'retrieving';
  return point === 'starting' ? 'starting' : 'loading';
};
