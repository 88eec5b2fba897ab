// SPDX-License-Identifier: Apache-2.0
/** What everything in this folder works with, put together in `agent.ts`. */
import type { Native } from '@luo-console/native';
import type { HostPaths } from '../host/paths.ts';
import type { Unended } from '../host/unended.ts';
import type { Journal, RecordedPeer } from '../journal/index.ts';
import type { DescriptorStore } from './descriptor-store.ts';
import type { Device, Patience } from './device.ts';

/** What the kernel logs while something is done; a handler says why it refuses only there. */
export interface KernelLog {
  /** The end of the log as it is now. */
  mark(): number;
  /** The texts of what was logged since, oldest first. */
  since(mark: number): readonly string[];
}

export interface LiveUpdateContext {
  readonly native: Native;
  readonly paths: HostPaths;
  readonly device: Device;
  readonly store: DescriptorStore;
  readonly journal: Journal;
  readonly patience: Patience;
  readonly kernelLog: KernelLog;
  readonly unended: Unended;
  /** µs since the epoch. */
  nowUs(): number;
}

/** On whose behalf something is done: null is the agent itself. */
export interface Actor {
  readonly peer: RecordedPeer | null;
  /** For people, for example `root (luocon)`. */
  readonly name: string;
}

export const agentItself: Actor = { peer: null, name: 'luo-console' };
