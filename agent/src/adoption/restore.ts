// SPDX-License-Identifier: Apache-2.0
/**
 * Starts a VMM again for a saved machine, gives it back its descriptors and its state, and lets the guest run. Up to
 * `loaded` the guest has not run, so a VMM that fails before may be thrown away and started again. Once it has been
 * told to run, its memory has changed and the saved state no longer fits.
 */
import { rmSync } from 'node:fs';
import type { Descriptor, Native } from '@luo-console/native';
import type { ProcessSocket } from '../host/peer.ts';
import { saidBy } from '../host/said-by.ts';
import { makeMeetingPlace } from '../host/socket-directory.ts';
import { connected, pause } from '../host/waiting.ts';
import { migrateIncoming, setCapabilities } from '../qemu/migration-commands.ts';
import { VmmMonitor } from '../qemu/migration-monitor.ts';
import { QmpError } from '../qemu/qmp-client.ts';
import { type Piece, playPieces, playStream, StreamError } from '../qemu/streams.ts';
import { ManagerRefusal } from '../units/manager-bus.ts';
import type { SavedMachine } from './saved-machine.ts';
import { capabilitiesFor, incomingSocketsIn, wordsToTakeIn } from './taking-in.ts';

/** A file to hand to a VMM that is started, as a path that leads to it. */
export interface HandedFile {
  readonly path: string;
  readonly name: string;
}

/** Starts a VMM as something that outlives this process. */
export interface VmmStarter {
  /** Resolves once it is under way. */
  start(name: string, command: SavedMachine['command'], files: readonly HandedFile[]): Promise<void>;
  /** Its process, once there is one. Rejects if it could not be started. */
  pid(name: string): Promise<number>;
  /** Rejects when it ends, with what it said last. */
  ended(name: string, pid: number, signal: AbortSignal): Promise<never>;
  stop(name: string): Promise<void>;
  /**
   * Makes a VMM that runs already the main process of its unit. One that is that already stays so.
   *
   * @param files what the carrier has left of it
   */
  adopt(name: string, pid: number, files: VmmFiles, command: SavedMachine['command']): Promise<void>;
}

/** Paths of what belongs to a VMM that the carrier started. */
export interface VmmFiles {
  /** Root's, with its number. */
  readonly pidFile: string;
  /** A FIFO to which it writes. */
  readonly output: string;
}

export interface RestoreOptions {
  readonly native: Native;
  readonly machine: SavedMachine;
  /** The file with the streams. */
  readonly state: Descriptor;
  /** The preserved file of a place. @throws if it was not retrieved */
  file(place: { session: string; token: string }): Descriptor;
  readonly starter: VmmStarter;
  readonly socketDirectory: string;
  /** Called when all is loaded, before the guest is told to run: from then on there is no second attempt. */
  beforeRunning(): void;
  /** Told at each point that is reached. */
  reached(point: 'starting' | 'loading' | 'loaded' | 'running'): void;
}

/** It failed after the guest had been told to run: the saved state must not be loaded again. */
export class RanPerhaps extends Error {
  override readonly name = 'RanPerhaps';
  constructor(cause: unknown) {
    super(`it was told to run, and then: ${saidBy(cause)}`, {
      cause,
    });
  }
}

/** How long a VMM whose sockets are closed may take to end, in ms. */
const endingMs = 1000;

/** Longest a VMM may take from being started to running, in ms. */
const restoreMs = 300_000;

/** Whether a VMM could not be started because there is a unit of its name. */
export const isUnitThere = (error: unknown): boolean =>
  error instanceof ManagerRefusal && error.code === 'org.freedesktop.systemd1.UnitExists';

/** What the unit of a machine's new VMM is called: names of machines may repeat, names of sessions do not. */
export const unitNameOf = ({ session }: Pick<SavedMachine, 'session'>): string =>
  session.replace(/^machine:/, '');

/**
 * @returns the new VMM's process
 * @throws Error that says what went wrong. The VMM is stopped again unless the guest may have run.
 */
export async function restoreMachine(options: RestoreOptions): Promise<number> {
  const { machine, native, starter } = options;
  // Everything it needs must be in hand before anything is started.
  const pieces = piecesOf(options);
  const memory = machine.memory.map((each) => ({ backend: each.backend, file: options.file(each) }));
  const unit = unitNameOf(machine);
  // QEMU makes its sockets there as the user it runs as.
  const directory = makeMeetingPlace(options.socketDirectory, machine.command);
  const sockets = incomingSocketsIn(directory);
  const viaCpr = machine.way === 'cpr';
  const words = wordsToTakeIn(machine, sockets);
  const files = memory.map(({ backend, file }) => ({
    path: `/proc/${process.pid}/fd/${file.fd}`,
    name: backend,
  }));
  const over = new AbortController();
  const timer = setTimeout(
    () => over.abort(new Error(`it was not running after ${restoreMs / 1000} s`)),
    restoreMs,
  );
  let mayHaveRun = false;
  try {
    options.reached('starting');
    await starter.start(unit, { ...machine.command, words }, files);
    const pid = await starter.pid(unit);
    const ended = starter.ended(unit, pid, over.signal);
    const at = (path: string): ProcessSocket => ({ sockets: native.sockets, path, pid });
    const attempt = async (): Promise<void> => {
      if (viaCpr) {
        // QEMU makes the machine only once it has its descriptors; until then it has no monitor.
        using cpr = await connected(at(sockets.cpr), over.signal);
        await playPieces(native.sockets, cpr, pieces, over.signal);
      }
      using monitor = await VmmMonitor.reach(at(machine.monitor), over.signal);
      await monitor.tell(setCapabilities(capabilitiesFor(machine.way)));
      if (!viaCpr) await monitor.tell(migrateIncoming(sockets.main));
      using main = await connected(at(sockets.main), over.signal);
      options.reached('loading');
      const { cprBytes = 0, mainBytes = 0 } = machine.state ?? {};
      await playStream(native, main, options.state, cprBytes, mainBytes, over.signal);
      await monitor.migrated(over.signal);
      options.reached('loaded');
      // Also of one that stays paused: somebody else may tell it to run at any moment.
      options.beforeRunning();
      mayHaveRun = true;
      if (machine.ran) await monitor.run(over.signal);
      options.reached('running');
    };
    // A VMM that ends breaks everything at once, and that it ended says more than what broke first.
    const attempted = attempt().catch(async (error: unknown) => {
      await pause(endingMs, over.signal);
      throw error;
    });
    await Promise.race([attempted, ended]);
    return pid;
  } catch (error) {
    if (mayHaveRun) throw new RanPerhaps(error);
    // A unit that was there before is somebody else's.
    if (!isUnitThere(error)) await starter.stop(unit).catch(() => {});
    throw error;
  } finally {
    clearTimeout(timer);
    over.abort(new Error('it is over'));
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * Lets a machine run that an agent before this one had told to run, or was about to: its state is never loaded again.
 *
 * @param pid its VMM's process where that is known; the starter is asked otherwise
 * @returns its VMM's process
 * @throws Error if it has no process, or QEMU says that the guest is still paused
 */
export async function runStarted({
  native,
  machine,
  starter,
  pid: known,
}: Pick<RestoreOptions, 'native' | 'machine' | 'starter'> & { readonly pid?: number | null }): Promise<{
  pid: number;
  problem: string | null;
}> {
  const pid = known ?? (await starter.pid(unitNameOf(machine)));
  if (!machine.ran) return { pid, problem: null };
  try {
    using monitor = await VmmMonitor.open({ sockets: native.sockets, path: machine.monitor, pid });
    await monitor.run(AbortSignal.timeout(restoreMs));
    return { pid, problem: null };
  } catch (error) {
    if (error instanceof QmpError && error.failure === 'refused') throw new RanPerhaps(error);
    // A monitor that another client has says nothing against the guest.
    return { pid, problem: saidBy(error) };
  }
}

/** The pieces as they were recorded, out of the state file and with the descriptors of this kernel. */
function piecesOf({ machine, native, state, file }: RestoreOptions): Piece[] {
  let at = 0;
  return machine.pieces.map(({ bytes, files }) => {
    const data = native.memory.read(state, BigInt(at), bytes);
    if (data.length !== bytes) throw new StreamError(`the saved state ends after ${at + data.length} bytes`);
    at += bytes;
    return { data, descriptors: files.map((place) => file(place)) };
  });
}
