// SPDX-License-Identifier: Apache-2.0
/**
 * Keeps the host from being shut down or rebooted: a lock of logind (org.freedesktop.login1(5), `Inhibit`, what=shutdown,
 * mode=block). It does not hinder the agent's kexec, which is a system call.
 *
 * The lock is a descriptor that logind passes over the bus. `systemd-inhibit` holds it here, for as long as its own
 * child runs: `cat`, whose input is a pipe of the agent's. So the lock ends with the agent, however that ends. What `cat`
 * sends back says that the lock is taken. A host without logind has no such lock, which is no error. Root is hindered by
 * it from systemd 257 on.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { Log } from '../host/log.ts';
import { saidBy } from '../host/said-by.ts';

/** The program and its words, up to the program that runs while the lock is held. */
const usualCommand: readonly string[] = [
  '/usr/bin/systemd-inhibit',
  '--what=shutdown',
  '--mode=block',
  '--who=LUO Console',
  '--why=Machines are stopped, held, or on their way into this kernel: see luocon status',
  '/usr/bin/cat',
];

/** The pauses before it is tried again, in ms: logind may not run yet so early in a boot. The last one is used then on. */
const usualPausesMs: readonly number[] = [1000, 5000, 15_000, 60_000];

export interface ShutdownLockOptions {
  readonly log: Log;
  readonly command?: readonly string[];
  readonly pausesMs?: readonly number[];
}

export class ShutdownLock {
  readonly #options: ShutdownLockOptions;
  #wanted = false;
  #holder: ChildProcessWithoutNullStreams | null = null;
  #failures = 0;
  #again: NodeJS.Timeout | null = null;

  constructor(options: ShutdownLockOptions) {
    this.#options = options;
  }

  /** Takes the lock, or gives it back; twice the same does nothing. Never throws. */
  want(wanted: boolean): void {
    if (this.#wanted === wanted) return;
    this.#wanted = wanted;
    this.#failures = 0;
    if (this.#again !== null) clearTimeout(this.#again);
    this.#again = null;
    if (wanted) this.#take();
    else {
      this.#holder?.stdin.end();
      this.#holder = null;
    }
  }

  #take(): void {
    const { command = usualCommand, log } = this.#options;
    const [program = '', ...words] = command;
    let holder: ChildProcessWithoutNullStreams;
    try {
      holder = spawn(program, words, { stdio: ['pipe', 'pipe', 'pipe'] });
    } catch (error) {
      this.#tryLater(saidBy(error));
      return;
    }
    this.#holder = holder;
    let said = '';
    const ended = (why: string): void => {
      if (this.#holder !== holder) return;
      this.#holder = null;
      this.#tryLater(why);
    };
    holder.on('error', (error) => ended(error.message));
    holder.on('close', (status) => ended(said.trim() || `it ended with ${status}`));
    // Its end is told by `close`; a pipe that breaks before says no more.
    holder.stdin.on('error', () => {});
    holder.stdin.write('\n');
    holder.stdout.once('data', () => {
      this.#failures = 0;
      log('info', 'the host cannot be shut down meanwhile', {});
    });
    holder.stderr.on('data', (piece: Buffer) => {
      said = `${said}${piece.toString()}`.slice(-500);
    });
    // The agent ends when it is told to, with or without the lock.
    holder.unref();
  }

  #tryLater(problem: string): void {
    const { log, pausesMs = usualPausesMs } = this.#options;
    // Once: a host without logind stays one.
    if (this.#failures === 0)
      log('info', 'the host can be shut down meanwhile: there is no lock', { problem });
    const ms = pausesMs[Math.min(this.#failures, pausesMs.length - 1)] ?? 0;
    this.#failures += 1;
    this.#again = setTimeout(() => this.#take(), ms).unref();
  }
}
