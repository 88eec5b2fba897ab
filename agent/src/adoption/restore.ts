// SPDX-License-Identifier: Apache-2.0
/**
 * What it takes to have a saved machine run again: somebody who starts VMMs, the machine's files, and what to make of a
 * failure. Up to its mark `running` the guest has not run, so its VMM may be thrown away and another one started. After
 * that its memory has changed, and the saved state no longer fits.
 */
import type { Descriptor, Native } from '@luo-console/native';
import type { HostPaths } from '../host/paths.ts';
import { standBack } from '../host/priority.ts';
import { saidBy } from '../host/said-by.ts';
import { VmmMonitor } from '../qemu/migration-monitor.ts';
import { QmpError } from '../qemu/qmp-client.ts';
import { ManagerRefusal } from '../units/manager-bus.ts';
import type { SavedMachine } from './saved-machine.ts';
import type { VmmFacts } from './vmm-facts.ts';

/** A file to hand to a program that is started, as a path that leads to it. */
export interface HandedFile {
  readonly path: string;
  readonly name: string;
}

/** A resume program of one machine, to be executed in the machine's unit. */
export interface ResumedVmm {
  /** The resume program, then its files in its order. */
  readonly files: readonly HandedFile[];
  /** Where the carrier works and leaves its log: root's, and nobody else may make anything there. */
  readonly directory: string;
}

/** What of a saved machine makes its unit. */
export type UnitMachine = Pick<SavedMachine, 'session' | 'command'> & {
  readonly facts: Pick<VmmFacts, 'resources'> | null;
  /** Where its VMM is started beside another one: whether it is in the machine's second unit. */
  readonly beside?: { readonly second: boolean };
};

/** Starts VMMs as something that outlives this process. */
export interface VmmStarter {
  /**
   * Has the carrier execute a resume program. Resolves once the carrier has ended and its VMM lives on: the guest has
   * been told to run.
   */
  resume(machine: UnitMachine, vmm: ResumedVmm): Promise<void>;
  /** Resolves once nothing is being started for it any more, by an agent before this one perhaps. */
  settle(machine: UnitMachine): Promise<void>;
  /** The process of its VMM. Rejects if there is none. */
  pid(machine: UnitMachine): Promise<number>;
  stop(machine: UnitMachine): Promise<void>;
  /**
   * Makes a VMM that runs already the main process of its unit. One that is that already stays so.
   *
   * @param files what the carrier has left of it
   */
  adopt(machine: UnitMachine, pid: number, files: VmmFiles): Promise<void>;
}

/** Paths of what belongs to a VMM that the carrier started. */
export interface VmmFiles {
  /** Root's, with its number. */
  readonly pidFile: string;
  /** A FIFO to which it writes. */
  readonly output: string;
}

/** Points in the restart of a machine, in their order. */
export const restartPoints = ['starting', 'loading', 'loaded', 'running'] as const;
export type RestartPoint = (typeof restartPoints)[number];

/** A stretch in which a machine waited. Times are ns of `CLOCK_BOOTTIME`. */
export interface RestartWait {
  /** A mount, a device, a network interface, a security profile, or that its VMM listens; as it stands behind "waits for". */
  readonly what: string;
  readonly fromNs: number;
  /** Null if its end is unknown. */
  readonly untilNs: number | null;
}

/** An instruction of a resume program that was done, or the same one several times without another between them. */
export interface RestartInstruction {
  /** Its name, and its text if it has one. */
  readonly what: string;
  readonly times: number;
  /** When the last of them was done, ns of `CLOCK_BOOTTIME`. */
  readonly doneNs: number;
}

/** What the carrier says of a machine beside its points: in bounds, and in its order. */
export interface RestartLog {
  readonly waited: readonly RestartWait[];
  readonly done: readonly RestartInstruction[];
  /** The instruction at which it failed, or `after` the last one that was done; null if it did not fail. */
  readonly failedAt: string | null;
}

export interface RestoreOptions {
  readonly native: Native;
  readonly paths: Pick<HostPaths, 'proc'>;
  readonly machine: SavedMachine;
  /** The file with the streams. */
  readonly state: Descriptor;
  /** The preserved file of a place. @throws if it was not retrieved */
  file(place: { session: string; token: string }): Descriptor;
  readonly starter: VmmStarter;
  readonly socketDirectory: string;
  /** How long the first attempt waits for what the machine needs, in seconds; hardly at all if it is not given. */
  readonly needLimitS?: number;
  /** Told of each point that was reached, with its time in ns of `CLOCK_BOOTTIME`. */
  reached(point: RestartPoint, atNs: number): void;
  /** Told what each attempt has waited for and done, whatever came of it. */
  logged?(log: RestartLog): void;
  log(level: 'warning', message: string, fields: Record<string, unknown>): void;
}

/** Has a saved machine run again. @returns the new VMM's process */
export type RestoreMachine = (options: RestoreOptions) => Promise<number>;

/** It failed after the guest had been told to run: the saved state must not be loaded again. */
export class RanPerhaps extends Error {
  override readonly name = 'RanPerhaps';
  constructor(cause: unknown) {
    super(`it was told to run, and then: ${saidBy(cause)}`, {
      cause,
    });
  }
}

/** Longest that a QEMU may take to say whether its guest runs, in ms. */
const runMs = 300_000;

/** Whether a VMM could not be started because there is a unit of its name. */
export const isUnitThere = (error: unknown): boolean =>
  error instanceof ManagerRefusal && error.code === 'org.freedesktop.systemd1.UnitExists';

/** What the unit of a machine's new VMM is called: names of machines may repeat, names of sessions do not. */
export const unitNameOf = ({ session }: Pick<SavedMachine, 'session'>): string =>
  session.replace(/^machine:/, '');

/** How a machine is that was told to run before. */
export interface Started {
  /** Its VMM's process. */
  readonly pid: number;
  /** Why its monitor could not be asked; null if it was. */
  readonly problem: string | null;
  /** QEMU's word for what its guest does in place of running; null if it runs, or nobody asked. */
  readonly insteadOfRunning: string | null;
}

/**
 * Tells the guest of a machine to run that may have run already, if it ran when it was saved. Nothing is loaded. A guest
 * that is known to have run is only asked how it is: whoever has paused it since wants it so.
 *
 * Its VMM came first on the processors until then. Where the carrier has ended too soon, it is put back here.
 *
 * @param pid its VMM's process where that is known; the starter is asked otherwise
 * @param hasRun whether it is known to have run
 * @throws Error if it has no process, or QEMU says that the guest is still paused
 */
export async function runStarted({
  native,
  paths,
  machine,
  starter,
  log,
  pid: known,
  hasRun = false,
}: Pick<RestoreOptions, 'native' | 'paths' | 'starter' | 'log'> & {
  readonly machine: UnitMachine &
    Pick<SavedMachine, 'ran' | 'monitor'> & { readonly facts: Pick<VmmFacts, 'nice'> | null };
  readonly pid?: number | null;
  readonly hasRun?: boolean;
}): Promise<Started> {
  const pid = known ?? (await starter.pid(machine));
  try {
    standBack(paths.proc, pid, machine.facts?.nice ?? 0);
  } catch (error) {
    log('warning', 'a VMM still comes first on the processors', { pid, problem: saidBy(error) });
  }
  if (!machine.ran) return { pid, problem: null, insteadOfRunning: null };
  try {
    using monitor = await VmmMonitor.open({ sockets: native.sockets, path: machine.monitor, pid });
    const signal = AbortSignal.timeout(runMs);
    if (!hasRun) await monitor.run(signal);
    const status = hasRun ? await monitor.status(signal) : 'running';
    return { pid, problem: null, insteadOfRunning: status === 'running' ? null : status };
  } catch (error) {
    if (error instanceof QmpError && error.failure === 'refused') throw new RanPerhaps(error);
    // A monitor that another client has says nothing against the guest.
    return { pid, problem: saidBy(error), insteadOfRunning: null };
  }
}
