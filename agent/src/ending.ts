// SPDX-License-Identifier: Apache-2.0
/**
 * How the agent ends when it is told to, from its first moment on. A start that is ended half-way would leave machines
 * stopped that an agent before it has stopped: nobody would let them run after `systemctl stop`. So it is waited for, and
 * what the agent has begun is brought to an end. A start that waits for the device can do nothing more for anybody once
 * those machines run, and is ended then.
 */
import type { RunningAgent } from './agent-face.ts';
import type { Log } from './host/log.ts';
import { saidBy } from './host/said-by.ts';

type Ended = Pick<RunningAgent, 'leaveNone' | 'stop'>;

export interface EndingOptions {
  readonly log: Log;
  /** Ends the process. */
  exit(status: number): void;
}

export class Ending {
  readonly #options: EndingOptions;
  readonly #started = Promise.withResolvers<Ended>();
  #isStarted = false;
  /** Fires once the start goes on; null if it does not wait, or machines do not run yet. */
  #waits: AbortSignal | null = null;
  #isStopping = false;

  constructor(options: EndingOptions) {
    this.#options = options;
  }

  /** To be called once the agent is there. */
  started(agent: Ended): void {
    this.#isStarted = true;
    this.#started.resolve(agent);
  }

  /**
   * To be called when the start waits for the device.
   *
   * @param over fires once it goes on
   * @param machinesRun resolves once no machine is stopped any more that an agent before this one has stopped
   */
  startWaits(over: AbortSignal, machinesRun: Promise<void>): void {
    void machinesRun.then(() => {
      this.#waits = over;
      this.#endIfWaiting();
    });
  }

  /**
   * Ends the agent in order. A second call does nothing: a second signal must not end it while machines are stopped.
   *
   * @param why who wants it, for example the name of a signal
   */
  async stop(why: string): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    const { log, exit } = this.#options;
    log('info', 'stopping', { why });
    if (this.#endIfWaiting()) return;
    if (!this.#isStarted) log('info', 'the start is waited for: stopped machines run on first');
    try {
      const agent = await this.#started.promise;
      await agent.leaveNone(`the agent was told to end (${why})`);
      await agent.stop();
      exit(0);
    } catch (error) {
      log('error', 'could not stop cleanly', { problem: saidBy(error) });
      exit(1);
    }
  }

  /** @returns whether it has ended */
  #endIfWaiting(): boolean {
    if (!this.#isStopping || this.#waits === null || this.#waits.aborted) return false;
    this.#options.exit(0);
    return true;
  }
}
