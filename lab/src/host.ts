// SPDX-License-Identifier: Apache-2.0
/**
 * A lab host as its users see it. They run commands in it, copy files to and from it, cut its power, and throw it away.
 * An object of this class is only a handle. The host is its directory and its QEMU, so any process can hold a handle,
 * and dropping one changes nothing.
 */

import { readFile, rm, stat } from 'node:fs/promises';
import { execa } from 'execa';
import { shellWord, sshAlias, sshOptions } from './access.ts';
import {
  type Boot,
  BootError,
  logEnds,
  reportedBoots,
  serialTail,
  sincePowerOn,
  waitForBoot,
} from './boot.ts';
import { withLock } from './lock.ts';
import { powerOn } from './power.ts';
import { exited, isRunning, killQemu } from './qemu.ts';
import { type HostFiles, hostFiles, hostLock, readSettings } from './settings.ts';
import { type Found, type WaitOptions, waitForText } from './watch.ts';

/** How a command in a host ended. */
export interface ShResult {
  /** Its exit status; 255 also when the connection broke, as with ssh. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ShOptions {
  /** Whom to run it as: root (the default), `operator` or `viewer`. */
  readonly user?: string;
  /** Given to its standard input, which is empty otherwise. */
  readonly input?: string | Uint8Array;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export class LabHost implements AsyncDisposable {
  readonly name: string;
  /** Everything the host consists of; gone after `down`. */
  readonly directory: string;
  /** File for `ssh -F`. */
  readonly sshConfig: string;
  /** The host's name in that file. */
  readonly sshAlias: string;
  /** Unix socket with the serial console; one client at a time. */
  readonly serialSocket: string;
  /** What the serial console has said since the host was created. */
  readonly serialLog: string;
  readonly #files: HostFiles;

  constructor(name: string) {
    this.#files = hostFiles(name);
    this.name = name;
    this.directory = this.#files.directory;
    this.sshConfig = this.#files.sshConfig;
    this.sshAlias = sshAlias(name);
    this.serialSocket = this.#files.serialSocket;
    this.serialLog = this.#files.serialLog;
  }

  /**
   * Runs a shell command in the host.
   *
   * @param command a line for the user's shell; or words, which reach the program as they are
   * @throws Error when the host does not run, the time is up or the signal is aborted; a command
   *   that fails is no error
   */
  async sh(command: string | readonly string[], options: ShOptions = {}): Promise<ShResult> {
    const line = typeof command === 'string' ? command : command.map(shellWord).join(' ');
    const access = await this.connection(options.user);
    const result = await execa('ssh', [...access, this.sshAlias, '--', line], {
      input: options.input ?? '',
      reject: false,
      stripFinalNewline: false,
      maxBuffer: 256 * 1024 * 1024,
      ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
      ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
    });
    if (result.exitCode === undefined) throw new Error(`in ${this.name}: ${line}: ${result.shortMessage}`);
    return { code: result.exitCode, stdout: result.stdout, stderr: result.stderr };
  }

  /** Copies files or directories into a directory of the host. */
  async copyIn(paths: readonly string[], directory: string): Promise<void> {
    await this.#copy([...paths, `${this.sshAlias}:${directory}`]);
  }

  /** Copies files or directories of the host into a directory here. */
  async copyOut(paths: readonly string[], directory: string): Promise<void> {
    await this.#copy([...paths.map((path) => `${this.sshAlias}:${path}`), directory]);
  }

  async #copy(paths: readonly string[]): Promise<void> {
    const result = await execa('scp', [...(await this.connection()), '-q', '-r', '-p', '--', ...paths], {
      reject: false,
    });
    if (result.failed) throw new Error(`scp with ${this.name}: ${result.stderr || result.shortMessage}`);
  }

  /**
   * ssh's options for a connection that commands share.
   *
   * @throws Error when the host does not run
   */
  async connection(user = 'root'): Promise<string[]> {
    return sshOptions(this.#files, await this.bootId(), user);
  }

  /** Whether the host has power. */
  async running(): Promise<boolean> {
    return isRunning(this.#files);
  }

  /**
   * The host's latest completed boot, as it reported it.
   *
   * @throws Error when it has no power, or has not completed a boot yet
   */
  async boot(): Promise<Boot> {
    if (!(await this.running())) throw new Error(`host ${this.name} does not run; \`up\` starts it`);
    const boot = (await reportedBoots(this.#files)).at(-1);
    if (boot && boot.reportEnd > (await sincePowerOn(this.#files))) return boot;
    throw new Error(`host ${this.name} has not booted yet`);
  }

  /** The boot id of the latest completed boot. */
  async bootId(): Promise<string> {
    return (await this.boot()).bootId;
  }

  /**
   * Waits for the boot after a given one: after a kexec, a reset, or a panic that starts it again.
   *
   * @param previousBootId the boot before the one to wait for; the latest one if not given
   * @throws BootError when that boot fails, with the end of the serial console
   */
  async waitForBoot(previousBootId?: string, options: { limitMs?: number } = {}): Promise<Boot> {
    const boots = await reportedBoots(this.#files);
    const known =
      previousBootId === undefined ? boots.at(-1) : boots.find((boot) => boot.bootId === previousBootId);
    if (previousBootId !== undefined && !known) {
      throw new RangeError(`boot id ${previousBootId}: host ${this.name} has reported no such boot`);
    }
    const since = { serial: (await logEnds(this.#files)).serial, events: known?.reportEnd ?? 0 };
    return waitForBoot(this.name, this.#files, { since, failOnPanic: false, limitMs: options.limitMs });
  }

  /** The length of the serial log in bytes: a mark from which to wait for what comes next. */
  async serialPosition(): Promise<number> {
    return (await stat(this.serialLog)).size;
  }

  /**
   * Waits until the serial console says something.
   *
   * @param pattern matched against the log, one character a byte
   * @param options.from byte offset in the log to begin at; 0 is the host's first boot
   * @throws Error with the end of the console when QEMU ends or the time is up
   */
  async waitForSerial(pattern: RegExp, options: WaitOptions & { timeoutMs?: number } = {}): Promise<Found> {
    const stop = new AbortController();
    const signals = [stop.signal];
    if (options.signal) signals.push(options.signal);
    if (options.timeoutMs !== undefined) signals.push(AbortSignal.timeout(options.timeoutMs));
    const signal = AbortSignal.any(signals);
    const found = waitForText(this.serialLog, pattern, { from: options.from ?? 0, signal });
    const gone = exited(this.#files, signal).then((): never => {
      throw new Error('QEMU ended');
    });
    try {
      return await Promise.race([found, gone]);
    } catch (error) {
      throw new BootError(
        this.name,
        `waiting for ${pattern}: ${(error as Error).message}`,
        await this.serialTail(),
      );
    } finally {
      stop.abort();
      await Promise.allSettled([found, gone]);
    }
  }

  /** The last lines the serial console said. */
  async serialTail(lines?: number): Promise<string> {
    return serialTail(this.#files, lines);
  }

  /** All that QEMU itself had to say, which is nothing unless something is wrong. */
  async qemuLog(): Promise<string> {
    return readFile(this.#files.qemuLog, 'utf8');
  }

  /** Pulls the plug. What the host has synced is on its disk; `powerOn` boots from it. */
  async powerCut(): Promise<void> {
    await killQemu(this.#files);
  }

  /**
   * Boots the host from its disk and waits until it is up.
   *
   * @throws BootError, with the power off again, when the boot fails
   */
  async powerOn(): Promise<Boot> {
    const settings = await readSettings(this.name);
    if (!settings) throw new Error(`there is no host ${this.name}`);
    return withLock(hostLock(this.name), () => powerOn(this.#files, settings));
  }

  /** Ends the host and deletes all there is of it. */
  async down(): Promise<void> {
    await withLock(hostLock(this.name), async () => {
      await killQemu(this.#files);
      await rm(this.directory, { recursive: true, force: true });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
  }
}
