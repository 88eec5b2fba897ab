// SPDX-License-Identifier: Apache-2.0
/** What stopping and saving the machines of an update needs from the rest of the agent. */
import type { Descriptor, Native } from '@luo-console/native';
import type { Unended } from '../host/unended.ts';
import type { MachineHead, StoppedMark } from '../liveupdate/machine-head.ts';
import type { Place } from '../liveupdate/session-entries.ts';
import type { Adopted } from './adoption-context.ts';
import type { SavedMachine } from './saved-machine.ts';
import type { VmmFacts } from './vmm-facts.ts';

export interface SuspensionContext {
  readonly native: Native;
  readonly unended: Unended;
  /** A directory in which sockets may be made. */
  readonly socketDirectory: string;
  nowUs(): number;
  /** A path of a process's, as the agent reaches it. */
  reach(pid: number, path: string): string;
  /** Where a file is preserved already, or null. */
  whereIs(facts: { dev: bigint; ino: bigint }): Place | null;
  /** Preserves a file until the next kernel has used it. @param signal ends the wait for that */
  preserve(file: Descriptor, signal: AbortSignal): Promise<Place>;
  /** Writes down that a machine is stopped, or runs again, and how it was before. */
  mark(session: string, change: StoppedMark): void;
  /** Whether a machine's VMM still is the process that it was. */
  isThere(machine: MachineHead): Promise<boolean>;
  /** Files of a machine's named memory by backend. @throws Error if one is not preserved */
  namedMemory(adopted: Adopted): Promise<SavedMachine['memory']>;
  /** What a machine's VMM needs to be started again; null if that is unknown. @throws Error if it cannot be started */
  facts(adopted: Adopted): Promise<VmmFacts | null>;
  /** Bytes of a machine's memory; null if not known. */
  memoryOf(adopted: Adopted): number | null;
  /** How long a machine's VMM may take to save it once it is stopped, in ms. */
  saveLimitMs(adopted: Adopted): number;
  /**
   * Writes ahead what will be written down of the machines, as far as it is known. They still run.
   *
   * @param coming as they will be saved; without a state where nothing is known of it yet
   * @throws Error if it has no room
   */
  writeAhead(coming: readonly SavedMachine[]): Promise<void>;
  /** Told right before the first machine is stopped. */
  stopping(): void;
  /** Whether a machine is marked as stopped. */
  isStopped(session: string): boolean;
  /** Fires when the update is aborted. */
  readonly signal: AbortSignal;
  /** Told when anything about the machines has changed. */
  changed(): void;
}
