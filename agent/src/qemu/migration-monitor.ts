// SPDX-License-Identifier: Apache-2.0
/**
 * The commands with which the agent has QEMU save a machine and run on, over QMP. The agent connects before it
 * stops anything, and stays connected until the machine runs again. Letting a machine run on must not depend on
 * connecting once more.
 */
import * as v from 'valibot';
import type { ProcessSocket } from '../host/peer.ts';
import { pause, strangerMs, whenNamed } from '../host/waiting.ts';
import { isByAgent, isLive } from './guest-states.ts';
import { GuestWatch } from './guest-watch.ts';
import { letRun, notRunning, type QmpCommand, queryMigrate, queryStatus } from './migration-commands.ts';
import { QmpClient, QmpError, type QmpEvent, type QmpOptions } from './qmp-client.ts';

/** States in which a migration is over (QEMU, qapi/migration.json). */
const ends: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled']);
/** Those, and the one before the first. */
const notMigrating: ReadonlySet<string> = new Set([...ends, 'none']);
const stillStopped: ReadonlySet<string> = new Set(notRunning);

/** How long a QEMU that was to let its guest run on may be silent, in ms. */
export const letRunMs = 10_000;

/** How often a guest is told to run that QEMU says is paused all the same. */
const mostTimesTold = 3;

/** How long to wait before a socket that nobody listens on yet is tried again, in ms. */
const tryAgainMs = 5;

/** How long QEMU is not listened to at most, in ms. A small state is sent in less. */
const unheardMs = 250;

/** How long a QEMU that sends its state may say nothing before it is asked, in ms. */
const quietMs = 1000;

const Status = v.object({ status: v.pipe(v.string(), v.maxLength(64)) });
const Children = v.pipe(
  v.array(
    v.object({ name: v.pipe(v.string(), v.maxLength(4096)), type: v.pipe(v.string(), v.maxLength(4096)) }),
  ),
  v.maxLength(65_536),
);
const Migration = v.object({
  status: v.optional(v.pipe(v.string(), v.maxLength(64))),
  'error-desc': v.optional(v.pipe(v.string(), v.maxLength(4096))),
});

export class VmmMonitor {
  readonly #client: QmpClient;
  #unheard: NodeJS.Timeout | undefined;

  /** What QEMU said last of the migration: states that it was in before this connection are not known. */
  #migration = 'none';

  /** What QEMU tells of the guest from now on. */
  readonly guest = new GuestWatch();

  private constructor(client: QmpClient) {
    this.#client = client;
    client.events.on('event', (message: QmpEvent) => {
      const { event, data } = message;
      if (event === 'MIGRATION' && typeof data['status'] === 'string') this.#migration = data['status'];
      this.guest.hear(message);
    });
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

  /** Resolves once QEMU has answered; its answer is of no interest. @throws QmpError; the signal's reason */
  async tell({ execute, arguments: given }: QmpCommand, signal?: AbortSignal): Promise<void> {
    await this.#client.execute(execute, v.unknown(), given, signal);
  }

  /**
   * Has QEMU begin to send the machine's state. What it has told of another migration before is not of this one.
   *
   * @throws QmpError; the signal's reason
   */
  async migrate(channels: readonly object[], signal: AbortSignal): Promise<void> {
    this.#migration = 'none';
    await this.tell({ execute: 'migrate', arguments: { channels } }, signal);
  }

  /** QEMU's word for what the guest does (`RunState`). @throws QmpError; the signal's reason */
  async statusNow(signal?: AbortSignal): Promise<string> {
    return (await this.#client.execute(queryStatus.execute, Status, undefined, signal)).status;
  }

  /** @throws QmpError */
  async ask<S extends v.GenericSchema>(command: string, schema: S): Promise<v.InferOutput<S>> {
    return await this.#client.execute(command, schema);
  }

  /** QEMU's word for how far the last migration is (`MigrationStatus`). @throws QmpError; the signal's reason */
  async migrationNow(signal?: AbortSignal): Promise<string> {
    return (await this.#askMigration(signal)).status ?? 'none';
  }

  /** Whether a migration is under way, the agent's or somebody else's. @throws QmpError; the signal's reason */
  async isMigrating(signal?: AbortSignal): Promise<boolean> {
    return !notMigrating.has(await this.migrationNow(signal));
  }

  /**
   * Cancels the migration that was asked for, and resolves once it is over: until then QEMU neither lets its guest run
   * nor takes settings.
   *
   * @throws QmpError; the signal's reason
   */
  async cancelMigration(signal: AbortSignal): Promise<void> {
    await this.tell({ execute: 'migrate_cancel' }, signal);
    while (await this.isMigrating(signal)) await this.#nextEvent(signal);
  }

  /**
   * The devices that were added by people or on the command line, in order: by their ids, or by QEMU's name for one that
   * was given none. Null if this QEMU cannot tell.
   *
   * @throws QmpError; the signal's reason
   */
  async deviceIds(signal?: AbortSignal): Promise<readonly string[] | null> {
    const childrenOf = async (path: string): Promise<string[]> => {
      const children = await this.#client.execute('qom-list', Children, { path }, signal);
      // The container has a property of its own beside them.
      return children.flatMap(({ name, type }) => (type.startsWith('child<') ? [name] : []));
    };
    try {
      // Where `qdev_set_id` puts them (system/qdev-monitor.c).
      const [named, nameless] = await Promise.all([
        childrenOf('/machine/peripheral'),
        childrenOf('/machine/peripheral-anon'),
      ]);
      return [...named, ...nameless.map((name) => `without an id (${name})`)].sort();
    } catch (error) {
      if (error instanceof QmpError && error.failure === 'refused') return null;
      throw error;
    }
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
      refusal = await this.#unlessSilent(() => this.tell(letRun, signal)).then(
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
   * Lets a guest run that ran before the agent stopped it. One that runs already is not told to, and neither is one that
   * something else has stopped: that is somebody else's to decide.
   *
   * @param saved whether QEMU has begun to save it for the agent
   * @returns QEMU's word for what it does in place of running; null if it runs
   * @throws as `run`
   */
  async letRunOn(signal: AbortSignal, saved: boolean): Promise<string | null> {
    const status = await this.status(signal);
    if (isLive(status)) return null;
    if (!isByAgent(status, saved)) return status;
    await this.run(signal);
    return null;
  }

  /**
   * The same, however long QEMU takes to say it.
   *
   * @throws QmpError `ended`; the signal's reason
   */
  async status(signal: AbortSignal): Promise<string> {
    for (;;) {
      signal.throwIfAborted();
      const answer = await this.#unlessSilent(() => this.statusNow(signal));
      if (answer !== null) return answer;
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
   * Resolves once the state has been sent whole. QEMU says in events how far it is, if it has the capability `events`.
   * It is asked only if it has said nothing for a while: answering takes its time away from sending.
   *
   * @throws QmpError `refused` with QEMU's words if it failed; `silent` if it does not answer; `ended`; the signal's reason
   */
  async migrated(signal: AbortSignal): Promise<void> {
    while (!ends.has(this.#migration)) {
      const hasSpoken = await this.#nextEvent(signal);
      if (!hasSpoken) this.#migration = (await this.#askMigration(signal)).status ?? this.#migration;
    }
    if (this.#migration === 'completed') return;
    const { 'error-desc': why } = await this.#askMigration(signal);
    throw new QmpError('refused', `QEMU could not pass its state on: ${why ?? this.#migration}`);
  }

  /**
   * Does not listen to QEMU for a short while, or until `hear`. While it sends its state it says much that takes time to
   * hear, and every VMM needs the processors. If it fails meanwhile, that is heard a little later.
   */
  unheard(): void {
    clearTimeout(this.#unheard);
    this.#client.pause();
    this.#unheard = setTimeout(() => this.hear(), unheardMs);
  }

  /** Listens again, to what was said meanwhile as well. */
  hear(): void {
    clearTimeout(this.#unheard);
    this.#client.resume();
  }

  async #askMigration(signal?: AbortSignal): Promise<v.InferOutput<typeof Migration>> {
    return await this.#client.execute(queryMigrate.execute, Migration, undefined, signal);
  }

  /** @returns whether an event came before QEMU was quiet for too long. @throws QmpError `ended`; the signal's reason */
  #nextEvent(signal: AbortSignal): Promise<boolean> {
    const { events } = this.#client;
    return new Promise((resolve, reject) => {
      const settle = (how: () => void) => (): void => {
        clearTimeout(timer);
        events.off('event', came);
        events.off('end', ended);
        signal.removeEventListener('abort', aborted);
        how();
      };
      const came = settle(() => resolve(true));
      const ended = settle(() => reject(new QmpError('ended', 'the monitor closed the connection')));
      const aborted = settle(() => reject(signal.reason));
      const timer = setTimeout(
        settle(() => resolve(false)),
        quietMs,
      );
      events.once('event', came);
      events.once('end', ended);
      signal.addEventListener('abort', aborted);
      if (signal.aborted) aborted();
    });
  }

  close(): void {
    clearTimeout(this.#unheard);
    this.#client.close();
  }
}
