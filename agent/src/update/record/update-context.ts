// SPDX-License-Identifier: Apache-2.0
/** What everything in this folder works with, put together in `agent.ts`. */
import type { Descriptor, Native } from '@luo-console/native';
import type { Adoptions } from '../../adoption/adoptions.ts';
import type { Attendance } from '../../adoption/attendance.ts';
import type { HostPaths } from '../../host/paths.ts';
import type { ProcessIdentity } from '../../host/process-files.ts';
import type { Unended } from '../../host/unended.ts';
import type { Machine, Rehearsal } from '../../interface/agent.generated.ts';
import type { Journal, JournalReader } from '../../journal/index.ts';
import type { KernelImages } from '../../kernel/images.ts';
import type { KernelState } from '../../kernel/kernel-state.ts';
import type { KernelLoader } from '../../kernel/loader.ts';
import type { CounterRate } from '../../kernel/surviving-clock.ts';
import type { DescriptorStore } from '../../liveupdate/descriptor-store.ts';
import type { Device } from '../../liveupdate/device.ts';
import type { KernelLog } from '../../liveupdate/live-update-context.ts';
import type { SessionStore } from '../../liveupdate/sessions.ts';
import type { BlockFiles } from '../../machines/block-files.ts';
import type { History } from './history.ts';
import type { Phases } from './phases.ts';
import type { UnfinishedIndex } from './unfinished-index.ts';

export interface UpdateContext {
  readonly native: Native;
  readonly paths: HostPaths;
  readonly stateDirectory: string;
  readonly journal: Journal;
  readonly reader: JournalReader;
  readonly history: History;
  readonly sessions: SessionStore;
  readonly device: Device;
  readonly descriptorStore: DescriptorStore;
  readonly kernelLog: KernelLog;
  readonly attendance: Attendance;
  readonly kernel: KernelState;
  readonly images: KernelImages;
  readonly loader: KernelLoader;
  readonly phases: Phases;
  readonly adoptions: Adoptions;
  /** What VMMs have said, before the update too. */
  readonly blockFiles: Pick<BlockFiles, 'of'>;
  readonly counterRate: CounterRate;
  readonly unfinishedIndex: UnfinishedIndex;
  /** What the agent does not wait for any more, and what has not ended. */
  readonly unended: Unended;
  /** Whether a held machine is being started or given up right now. */
  startsMachine(): boolean;
  /** Whether a machine's VMM is being replaced right now. */
  renewsMachine(): boolean;
  /** How the last rehearsal of a VMM went; null if it has not been rehearsed. */
  rehearsalOf(identity: ProcessIdentity): Promise<Rehearsal | null>;
  /** Ends rehearsals that are under way; their guests run then. @param why for people */
  endRehearsals(why: string): Promise<void>;
  /** How many machines the next kernel starts at once. */
  readonly together: number;
  /** How long a machine waits there for what it needs, in seconds. */
  readonly needLimitS: number;
  /** A directory in which sockets may be made. */
  readonly socketDirectory: string;
  /** All machines as they are now. */
  lookAtAll(): Promise<Machine[]>;
  /** One machine as it is now. @throws Refusal NoSuchProcess, NotAMachine */
  look(pid: number): Promise<Machine>;
  /** A copy of a process's descriptor. @throws Refusal */
  take(pid: number, fd: number): Descriptor;
  /** µs since the epoch. */
  nowUs(): number;
  /** One line for the service's log, with fields. */
  log(level: 'info' | 'warning' | 'error', message: string, fields?: Record<string, unknown>): void;
}
