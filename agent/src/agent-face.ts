// SPDX-License-Identifier: Apache-2.0
/** What the agent is given when it is started, and what it gives back once it runs. */
import type { RehearsalUnits } from './rehearsal/rehearsal-units.ts';
import type { RenewalUnits } from './renewal/renewal-units.ts';
import type { FirstOptions, FirstThings } from './update/arrive/first-things.ts';

export interface AgentOptions extends FirstOptions {
  readonly stateDirectory: string;
  /** Where to listen if the service manager hands in no socket. */
  readonly socketPath: string;
  /** The user the agent runs as. */
  readonly ownUid: number;
  /** Who started the agent, for example `systemd 262`, or `none`. Asked when somebody wants to know. */
  readonly serviceManager: () => Promise<string>;
  /** Keeps the host from being shut down while it is wanted. */
  readonly shutdownLock?: { want(wanted: boolean): void };
  /** Told once no update is under way any more and a restart is wanted: a new version of the agent is installed. */
  readonly restart?: () => void;
  /** Starts rehearsals; the service manager does if it is not given. */
  readonly rehearsalUnits?: RehearsalUnits;
  /** Where VMMs are that replace others; in units of the service manager if it is not given. */
  readonly renewalUnits?: RenewalUnits;
  /** What was done first; it is done now if it was not. */
  readonly first?: FirstThings;
}

export interface RunningAgent {
  /** Resolves once a live update that brought the host here is settled; at once if none did. */
  readonly settled: Promise<void>;
  /**
   * To be called before `stop`. Aborts an update under way, and resolves once its machines run again, however long that
   * takes. Between the freeze and the reboot it resolves only if the kernel comes back from that call. Calls are answered
   * meanwhile.
   *
   * @param reason what the update is told to be aborted for
   */
  leaveNone(reason: string): Promise<void>;
  /** Stops answering. Sessions are left to the service manager's store: nothing is released on purpose. */
  stop(): Promise<void>;
}
