// SPDX-License-Identifier: Apache-2.0
/** What the carrier leaves to the agent. */
import type { EventEmitter } from 'node:events';
import type { RestartLog, RestartPoint, VmmFiles } from '../../../adoption/restore.ts';
import type { HandedBack } from '../../../liveupdate/intake.ts';
import type { LoggedMachine } from '../../program/carrier-log.ts';

/** What the carrier did for one machine. */
export interface CarriedMachine {
  /** Its VMM, if that is still there. */
  readonly pid: number | null;
  /** The number that its VMM had or has; null if none was started. */
  readonly startedPid: number | null;
  readonly files: VmmFiles;
  /** When it came to each point, ns of `CLOCK_BOOTTIME`. */
  readonly reached: ReadonlyMap<RestartPoint, number>;
  /** Why it failed, in the carrier's words; null if it did not. */
  readonly failed: string | null;
  readonly log: RestartLog;
}

/** A machine as the carrier leaves it. */
export interface Carried {
  /** Null if it was none of the carrier's machines. */
  readonly machine: CarriedMachine | null;
  /** Why its worker may go on: then it must not be started. Null if none does. */
  readonly goesOn: string | null;
}

/** What the carrier says of itself now. */
export interface CarrierNews {
  /** When userspace began, ns of `CLOCK_BOOTTIME`; null if that is unknown. */
  readonly bornNs: number | null;
  /** When everything was retrieved, likewise. */
  readonly retrievedNs: number | null;
  /** By the name of the machine's session. */
  readonly machines: ReadonlyMap<string, LoggedMachine>;
}

/** A carrier whose sessions were taken. It may still be at work. */
export interface TakenOver {
  /** Sessions that were taken from it, under the names that the descriptor store has for them. */
  readonly sessions: readonly HandedBack[];
  /** Resolves once the carrier is through with the machine of a session, and at once if it does not have it. */
  machine(session: string): Promise<Carried>;
  news(): CarrierNews;
  /** Emits `changed` if there may be news. */
  readonly events: EventEmitter;
  /** Resolves once it has come to its end, and its processes are ended if they may be. */
  readonly over: Promise<void>;
}
