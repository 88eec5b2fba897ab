// SPDX-License-Identifier: Apache-2.0
/**
 * Stopping one machine and getting hold of its state. In two halves, because the first costs the guest nothing:
 *
 * - `prepare`: the monitor is taken, sockets listen, the file for the state is there, with its pages, and preserved. With
 *   cpr-transfer QEMU hands over its descriptors (`collect`), while the guest runs.
 * - `save`: the guest stops, and its state is recorded. From here to `letRunOn` here or in the next kernel the guest is
 *   stopped.
 *
 * As long as this kernel runs QEMU can let the guest run on (`letRunOn`), and the kexec ends it. Its migration settings
 * are changed for the save. How they were is noted before, and they are put back when the guest runs on (`putBack`).
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Descriptor } from '@luo-console/native';
import { makeMeetingPlace } from '../host/socket-directory.ts';
import { accepted } from '../host/waiting.ts';
import type { MachineBefore } from '../liveupdate/machine-head.ts';
import { isAsSaved } from '../qemu/guest-states.ts';
import { letRunMs, VmmMonitor } from '../qemu/migration-monitor.ts';
import {
  putBackSettings,
  readSettings,
  type Settings,
  setSettings,
  withEarlier,
} from '../qemu/migration-settings.ts';
import { QmpError } from '../qemu/qmp-client.ts';
import { unixChannel } from '../qemu/restart-command.ts';
import { closePieces, type Piece, recordPieces, StreamError } from '../qemu/streams.ts';
import { needAsBefore, needSavable } from './savable.ts';
import type { SavedState, SaveOptions } from './save-options.ts';
import type { SavedMachine } from './saved-machine.ts';
import { StateFile } from './state-file.ts';
import { capabilitiesFor } from './taking-in.ts';

/** What is waited for once the guest is to stop. */
interface Expected {
  /** Resolves with the length of the device state once all of it is recorded, and when that was, in µs of `nowUs`. */
  readonly recorded: Promise<{ readonly mainBytes: number; readonly recordedAtUs: number }>;
  /**
   * Resolves once QEMU says that it has sent it whole; null until it was told to. Before that it tells of another migration,
   * which its owner may have cancelled.
   */
  readonly migrated: Promise<void> | null;
  /** Ends all of it. */
  readonly signal: AbortSignal;
}

/** Longest that QEMU may take to hand its descriptors over, in ms; the guest runs. */
const collectMs = 10_000;

export class MachineSaver {
  readonly #options: SaveOptions;
  readonly #monitor: VmmMonitor;
  readonly #directory: string;
  readonly #main: Descriptor;
  readonly #cpr: Descriptor | null;
  readonly #state: StateFile;
  readonly #settings: Settings;
  /** The devices that it had when everything was made ready; null if QEMU cannot tell. */
  readonly #devices: readonly string[] | null;
  #collecting: Descriptor | null = null;
  #pieces: Piece[] = [];
  #cprBytes = 0;
  /** How far QEMU is with the migration that was asked for; `unknown` if its answer did not come. */
  #migration: 'none' | 'unknown' | 'begun' | 'completed' = 'none';
  #suspendedAtUs: number | null = null;
  #expected: Expected | null = null;
  /** Ends the wait for the state. */
  readonly #over = new AbortController();

  private constructor(parts: {
    options: SaveOptions;
    monitor: VmmMonitor;
    directory: string;
    main: Descriptor;
    cpr: Descriptor | null;
    state: StateFile;
    settings: Settings;
    devices: readonly string[] | null;
  }) {
    this.#options = parts.options;
    this.#monitor = parts.monitor;
    this.#directory = parts.directory;
    this.#main = parts.main;
    this.#cpr = parts.cpr;
    this.#state = parts.state;
    this.#settings = parts.settings;
    this.#devices = parts.devices;
  }

  /**
   * Gets everything ready. The guest runs. If that fails, its settings are as before, or noted.
   *
   * @throws NotSavable; QmpError; SystemError; what `note` throws
   */
  static async prepare(options: SaveOptions): Promise<MachineSaver> {
    const { native, way } = options;
    const directory = makeMeetingPlace(options.socketDirectory, options.user);
    const open: Descriptor[] = [];
    const kept = (descriptor: Descriptor): Descriptor => {
      open.push(descriptor);
      return descriptor;
    };
    let monitor: VmmMonitor | null = null;
    let settings: Settings | null = null;
    try {
      monitor = await VmmMonitor.open({ sockets: native.sockets, path: options.monitor, pid: options.pid });
      // Whoever may enter the directory may connect; the agent checks then who it was. And may send files, which are closed
      // with the sockets.
      const listen = (name: string) =>
        kept(native.sockets.listenUnix(join(directory, name), { mode: 0o666, whence: 'outside' }));
      const main = listen('main');
      const cpr = way === 'cpr' ? listen('cpr') : null;
      await needSavable(monitor, options.signal);
      const devices = await monitor.deviceIds(options.signal);
      const { wanted, before } = await readSettings(monitor, capabilitiesFor(way), way === 'cpr');
      settings = withEarlier(before, options.earlier?.settings);
      options.note({ ran: monitor.guest.ran, saving: false, settings });
      await setSettings(monitor, wanted);
      const state = await StateFile.make({ ...options, directory });
      return new MachineSaver({ options, monitor, directory, main, cpr, state, settings, devices });
    } catch (error) {
      if (monitor && settings)
        // If it fails, whoever finds the note does it.
        await putBackSettings(monitor, settings)
          .then(() => options.note(null))
          .catch(() => {});
      for (const each of open) each.close();
      monitor?.close();
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /**
   * Looks at the machine once more, as time has passed since it was made ready: somebody may have paused it, have let it
   * run, or have plugged devices. Then has QEMU hand over its descriptors, on the way that does; the guest runs.
   *
   * @throws QmpError; StreamError; NotSavable
   * @returns the pieces with their descriptors, which stay this object's
   */
  async collect(): Promise<readonly Piece[]> {
    const signal = AbortSignal.any([this.#options.signal, AbortSignal.timeout(collectMs)]);
    await needAsBefore(this.#monitor, this.#devices, signal);
    if (this.#cpr === null) return [];
    const { native, pid } = this.#options;
    const migrating = this.#migrate(signal);
    const connection = await Promise.race([
      accepted(native.sockets, { listening: this.#cpr, pid }, signal),
      rejectedWith(migrating),
    ]);
    this.#collecting = connection;
    this.#pieces = await recordPieces(native.sockets, connection, signal);
    for (const { data } of this.#pieces) this.#state.write(data);
    this.#cprBytes = this.#state.bytes;
    await migrating;
    return this.#pieces;
  }

  /** What is known of its state before it is stopped: all but its length. Null if it has no place yet. */
  get stateAhead(): NonNullable<SavedMachine['state']> | null {
    const { place } = this.#state;
    return place && { token: place.token, cprBytes: this.#cprBytes, mainBytes: 0 };
  }

  /** Whether the guest runs, or did until the agent stopped it. */
  get ran(): boolean {
    return this.#monitor.guest.ran;
  }

  /** How the machine was before the update. */
  get before(): MachineBefore {
    return { ran: this.ran, saving: this.#migration !== 'none', settings: this.#settings };
  }

  /** Why what was saved does not fit the machine any more, as far as QEMU has told; null if it does. */
  get problem(): string | null {
    return this.#monitor.guest.problem;
  }

  /** When the guest was stopped, µs of `nowUs`; null before. */
  get suspendedAtUs(): number | null {
    return this.#suspendedAtUs;
  }

  /**
   * Has QEMU stop the guest. Takes no time, so that several can be stopped at the same time. On ways without a CPR stream
   * the guest stops with `save`.
   */
  stop(): void {
    this.#suspendedAtUs ??= this.#options.nowUs();
    this.#monitor.guest.stop();
    // QEMU waits for this: it stops the guest and connects the other channel. A close alone may come later.
    if (this.#collecting?.closed === false) this.#options.native.sockets.shutdown(this.#collecting);
    this.#collecting?.close();
  }

  /**
   * Has a thread wait for the state, and sees to it that nothing else is left to do for that once the guest is stopped. The
   * guest still runs.
   */
  expectState(): Expected {
    const { limitMs, nowUs, pid, way } = this.#options;
    const signal = AbortSignal.any([
      ...[this.#options.signal, AbortSignal.timeout(limitMs), this.#over.signal],
    ]);
    const recorded = this.#state.record({ listening: this.#main, pid }, signal).then((state) => ({
      mainBytes: state.bytes,
      // The thread that records is through before the event loop has its turn.
      recordedAtUs: nowUs() - Math.round(state.endedAgoUs),
    }));
    const migrated = way === 'cpr' ? this.#monitor.migrated(signal) : null;
    // Whoever saves the machine hears of it, if that is still done.
    for (const each of [recorded, migrated]) each?.catch(() => {});
    // On the other ways QEMU has yet to answer.
    if (way === 'cpr') this.#monitor.unheard();
    this.#expected = { recorded, migrated, signal };
    return this.#expected;
  }

  /**
   * Stops the guest and records its state. @throws QmpError; StreamError; the guest is then stopped until `letRunOn`
   */
  async save(): Promise<SavedState> {
    const { way } = this.#options;
    const { recorded, signal } = this.#expected ?? this.expectState();
    this.stop();
    try {
      if (way !== 'cpr') {
        await this.#monitor.tell({ execute: 'stop' }, signal);
        await this.#migrate(signal);
        this.#monitor.unheard();
      }
      const migrated = this.#expected?.migrated ?? this.#monitor.migrated(signal);
      const { mainBytes, recordedAtUs } = await Promise.race([recorded, rejectedWith(migrated)]);
      this.#monitor.hear();
      await migrated;
      this.#migration = 'completed';
      if (mainBytes === 0) throw new StreamError('QEMU sent no state');
      await this.#state.trim(signal);
      const { file, place } = this.#state;
      return { file, place, cprBytes: this.#cprBytes, mainBytes, recordedAtUs };
    } catch (error) {
      this.#over.abort(error);
      this.#monitor.hear();
      throw error;
    }
  }

  /**
   * Asks QEMU whether the guest is as it was saved: whether anybody has let it run since.
   *
   * @returns why it is not, or null
   * @throws QmpError; the signal's reason. Then it is not known.
   */
  async stillSaved(signal: AbortSignal): Promise<string | null> {
    const status = await this.#monitor.status(signal);
    if (this.problem !== null) return this.problem;
    return isAsSaved(status) ? null : `its state is "${status}" since it was saved`;
  }

  /**
   * Lets the guest run on, if it ran before and nothing but the agent has stopped it.
   *
   * @returns QEMU's word for what it does in place of running; null if it runs, or did not run before
   * @throws QmpError
   */
  async letRunOn(): Promise<string | null> {
    this.#monitor.hear();
    const isStopped = this.#suspendedAtUs !== null && this.ran;
    // QEMU may still wait for its descriptors to be taken, or for somebody to take the rest of the state.
    if (this.#migration === 'unknown' || this.#migration === 'begun')
      await this.#monitor.cancelMigration(AbortSignal.timeout(letRunMs)).catch((error: unknown) => {
        // Being told to run matters more, and shows by itself whether that can be done.
        if (!isStopped) throw error;
      });
    const signal = AbortSignal.timeout(letRunMs);
    const saved = this.#migration !== 'none';
    const instead = isStopped ? await this.#monitor.letRunOn(signal, saved) : null;
    // What QEMU saves from now on it saves for somebody else.
    this.#migration = 'none';
    if (saved) this.#options.note(this.before);
    return instead;
  }

  /** Puts its migration settings back, and notes that. @throws QmpError */
  async putBack(): Promise<void> {
    await putBackSettings(this.#monitor, this.#settings);
    this.#options.note(null);
  }

  /** Closes everything; does nothing to the guest. */
  close(): void {
    this.#over.abort(new StreamError('the machine is not saved any more'));
    closePieces(this.#pieces);
    this.#collecting?.close();
    this.#cpr?.close();
    this.#main.close();
    this.#state.close();
    this.#monitor.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #migrate(signal: AbortSignal): Promise<void> {
    const channels = [unixChannel('main', join(this.#directory, 'main'))];
    if (this.#cpr !== null) channels.push(unixChannel('cpr', join(this.#directory, 'cpr')));
    this.#migration = 'unknown';
    // Noted before QEMU can have done it: whoever finds the note lets run only what the agent has saved.
    this.#options.note(this.before);
    try {
      await this.#monitor.migrate(channels, signal);
      this.#migration = 'begun';
    } catch (error) {
      // There is none, or it is somebody else's, which is not the agent's to cancel.
      if (error instanceof QmpError && error.failure === 'refused') {
        this.#migration = 'none';
        this.#options.note(this.before);
      }
      throw error;
    }
  }
}

/** Rejects when `promise` does, and never resolves. */
function rejectedWith(promise: Promise<unknown>): Promise<never> {
  return new Promise((_resolve, reject) => {
    promise.catch(reject);
  });
}
