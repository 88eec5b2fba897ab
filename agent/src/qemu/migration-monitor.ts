// SPDX-License-Identifier: Apache-2.0
/**
 * The commands with which the agent has QEMU save a machine and run on, over QMP. The agent connects before it
 * stops anything, and stays connected until the machine runs again. Letting a machine run on must not depend on
 * connecting once more.
 */
import * as v from 'valibot';
import type { ProcessSocket } from '../host/peer.ts';
import { pause, strangerMs, whenNamed } from '../host/waiting.ts';
import { letRun, notRunning, type QmpCommand, queryMigrate, queryStatus } from './migration-commands.ts';
import { QmpClient, QmpError, type QmpEvent, type QmpOptions } from './qmp-client.ts';

const stillStopped: ReadonlySet<string> = new Set(notRunning);

/** How long a QEMU that was to let its guest run on may be silent, in ms. */
export const letRunMs = 10_000;

/** How often a guest is told to run that QEMU says is paused all the same. */
const mostTimesTold = 3;

/** How long to wait before a socket that nobody listens on yet is tried again, in ms. */
const tryAgainMs = 5;

const Status = v.object({ status: v.pipe(v.string(), v.maxLength(64)), running: v.boolean() });
const Migration = v.object({
  status: v.optional(v.pipe(v.string(), v.maxLength(64))),
  'error-desc': v.optional(v.pipe(v.string(), v.maxLength(4096))),
});

export class VmmMonitor {
  readonly #client: QmpClient;

  private constructor(client: QmpClient) {
    this.#client = client;
  }

  /** @throws QmpError */
  static async open(monitor: ProcessSocket, options: QmpOptions = {}): Promise<VmmMonitor> {
    return new VmmMonitor(await QmpClient.open(monitor, options));
  }

  /**
   * The monitor of a QEMU that is starting. If another process listens there, waiting goes on.
   *
   * @throws QmpError, `stranger` if another process listened to the end; the signal's reason
   */
  static async reach(monitor: ProcessSocket, signal: AbortSignal): Promise<VmmMonitor> {
    for (;;) {
      await whenNamed(monitor.path, signal);
      try {
        return await VmmMonitor.open(monitor);
      } catch (error) {
        if (!(error instanceof QmpError)) throw error;
        // Bound and not listened on yet, or left behind by the one before.
        if (error.failure === 'unreachable') await pause(tryAgainMs, signal);
        else if (error.failure === 'stranger')
          await pause(strangerMs, signal).catch(() => {
            throw error;
          });
        else throw error;
      }
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Resolves once QEMU has answered; its answer is of no interest. @throws QmpError */
  async tell({ execute, arguments: given }: QmpCommand): Promise<void> {
    await this.#client.execute(execute, v.unknown(), given);
  }

  async isRunning(): Promise<boolean> {
    return (await this.#client.execute(queryStatus.execute, Status)).running;
  }

  /**
   * Lets the guest run, and resolves once QEMU says that it does or has: what was meant is no fact. A late answer is
   * waited for.
   *
   * @throws QmpError `refused` if the guest is still paused, with QEMU's words if it has any; `ended`; the signal's reason
   */
  async run(signal: AbortSignal): Promise<void> {
    let refusal: QmpError | null = null;
    for (let told = 0; told < mostTimesTold; told += 1) {
      refusal = await this.#unlessSilent(() => this.tell(letRun)).then(
        () => null,
        (error: unknown) => {
          if (error instanceof QmpError && error.failure === 'refused') return error;
          throw error;
        },
      );
      if (!stillStopped.has(await this.status(signal))) return;
    }
    throw refusal ?? new QmpError('refused', 'it is still paused after it was told to run');
  }

  /**
   * QEMU's own word for what the guest does, however long it takes to say it.
   *
   * @throws QmpError `ended`; the signal's reason
   */
  async status(signal: AbortSignal): Promise<string> {
    for (;;) {
      signal.throwIfAborted();
      const answer = await this.#unlessSilent(() => this.#client.execute(queryStatus.execute, Status));
      if (answer !== null) return answer.status;
    }
  }

  /** @returns null if no answer came in time, which is no answer yet */
  async #unlessSilent<T>(ask: () => Promise<T>): Promise<T | null> {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof QmpError && error.failure === 'silent') return null;
      throw error;
    }
  }

  /**
   * Resolves once the state has been sent whole.
   *
   * @throws QmpError `refused` with QEMU's words if it failed; the signal's reason
   */
  async migrated(signal: AbortSignal): Promise<void> {
    await this.#until(signal, async () => {
      const { status, 'error-desc': why } = await this.#client.execute(queryMigrate.execute, Migration);
      if (status === 'failed' || status === 'cancelled')
        throw new QmpError('refused', `QEMU could not pass its state on: ${why ?? status}`);
      return status === 'completed';
    });
  }

  /** Calls `done` now and after each event, until it says so. */
  async #until(signal: AbortSignal, done: () => Promise<boolean>): Promise<void> {
    let wake = (): void => {};
    const woken = (): void => wake();
    const listener = ({ event }: QmpEvent): void => {
      if (['MIGRATION', 'STOP', 'RESUME', 'SHUTDOWN'].includes(event)) woken();
    };
    this.#client.events.on('event', listener);
    this.#client.events.on('end', woken);
    signal.addEventListener('abort', woken);
    try {
      for (;;) {
        signal.throwIfAborted();
        const next = new Promise<void>((resolve) => {
          wake = resolve;
        });
        if (await done()) return;
        await next;
      }
    } finally {
      this.#client.events.off('event', listener);
      this.#client.events.off('end', woken);
      signal.removeEventListener('abort', woken);
    }
  }

  close(): void {
    this.#client.close();
  }
}
