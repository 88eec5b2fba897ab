// SPDX-License-Identifier: Apache-2.0
/**
 * The marks of all states of machines: of a machine, of its part in an update, of its descriptors, and of nodes in the
 * order.
 */

import ArchiveRestore from '@lucide/svelte/icons/archive-restore';
import Ban from '@lucide/svelte/icons/ban';
import Box from '@lucide/svelte/icons/box';
import CircleAlert from '@lucide/svelte/icons/circle-alert';
import CircleCheck from '@lucide/svelte/icons/circle-check';
import CircleDashed from '@lucide/svelte/icons/circle-dashed';
import CirclePlay from '@lucide/svelte/icons/circle-play';
import CircleHelp from '@lucide/svelte/icons/circle-question-mark';
import CircleSlash from '@lucide/svelte/icons/circle-slash';
import CircleX from '@lucide/svelte/icons/circle-x';
import Cpu from '@lucide/svelte/icons/cpu';
import HardDrive from '@lucide/svelte/icons/hard-drive';
import Hourglass from '@lucide/svelte/icons/hourglass';
import LoaderCircle from '@lucide/svelte/icons/loader-circle';
import LogOut from '@lucide/svelte/icons/log-out';
import MemoryStick from '@lucide/svelte/icons/memory-stick';
import MonitorPlay from '@lucide/svelte/icons/monitor-play';
import PackageCheck from '@lucide/svelte/icons/package-check';
import Pause from '@lucide/svelte/icons/pause';
import Power from '@lucide/svelte/icons/power';
import ShieldCheck from '@lucide/svelte/icons/shield-check';
import Wrench from '@lucide/svelte/icons/wrench';
import type {
  Fate,
  Machine,
  MachineStage,
  MachineState,
  OrderKind,
  PlannedMachine,
} from '@luo-console/agent/interface';
import type { Mark } from './states.ts';
import { mark } from './states.ts';

export const machineStateMarks: Record<MachineState, Mark> = {
  running: mark('Running', 'good', CirclePlay),
  paused: mark('Paused', 'warn', Pause),
  prelaunch: mark('Not started yet', 'neutral', CircleDashed),
  incoming: mark('Incoming', 'busy', Hourglass),
  migrated: mark('Migrated', 'neutral', LogOut),
  suspended: mark('Suspended', 'warn', Pause),
  shut_down: mark('Shut down', 'neutral', Power),
  failed: mark('Failed', 'bad', CircleX),
  other: mark('Other state', 'neutral', CircleHelp),
  unknown: mark('Not known', 'warn', CircleHelp),
  gone: mark('Gone', 'neutral', CircleSlash),
};

export const notRunning: Mark = mark('Not running', 'neutral', Power);
export const unusable: Mark = mark('Unusable', 'bad', CircleX);
/** For a held machine that another attempt cannot start. */
export const cannotRetry: Mark = mark('Cannot be tried again', 'warn', Ban);
export const adopted: Mark = mark('Adopted', 'good', ShieldCheck);
export const notAdopted: Mark = mark('Not adopted', 'neutral', CircleDashed);
export const cannotCarry: Mark = mark('Cannot be carried over', 'warn', Ban);

/** Whether an update would carry a machine over, as it stands. */
export function carriedMark({ session, way }: Pick<Machine, 'session' | 'way'>): Mark {
  if (session !== null) return adopted;
  return way === 'none' ? cannotCarry : notAdopted;
}

const carriedOver: Mark = mark('Carried over', 'good', PackageCheck);

const unasked: Mark = mark('Not adopted', 'bad', CircleAlert);

/** What a plan does to a machine. @param chosen whether a person chose to leave it behind; one that is not adopted is left behind anyway */
export function plannedMark({ leave, way }: Pick<PlannedMachine, 'leave' | 'way'>, chosen: boolean): Mark {
  if (leave) return chosen ? stageMarks.left_behind : unasked;
  return way === 'none' ? cannotCarry : carriedOver;
}

export const fateMarks: Record<Fate, Mark> = {
  preservable: mark('Preservable', 'good', PackageCheck),
  rebuilt: mark('Rebuilt by the VMM', 'neutral', Wrench),
  lost: mark('Lost', 'warn', CircleAlert),
  blocks: mark('Blocks the update', 'bad', Ban),
};

export const stageMarks: Record<MachineStage, Mark> = {
  waiting: mark('Waiting', 'neutral', Hourglass),
  suspending: mark('Stopping', 'busy', Pause),
  saved: mark('Saved', 'busy', PackageCheck),
  retrieving: mark('Retrieving', 'busy', ArchiveRestore),
  starting: { ...mark('VMM starting', 'busy', LoaderCircle), turning: true },
  loading: { ...mark('Loading', 'busy', LoaderCircle), turning: true },
  resumed: mark('Runs again', 'good', CircleCheck),
  running: mark('Runs on', 'good', CircleCheck),
  held: mark('Held', 'warn', ShieldCheck),
  left_behind: mark('Left behind', 'warn', LogOut),
  lost: mark('Lost', 'bad', CircleX),
};

export const orderKindMarks: Record<OrderKind, Mark> = {
  machine: mark('Machine', 'busy', MonitorPlay),
  memory: mark('Memory', 'good', MemoryStick),
  device: mark('Device', 'warn', Cpu),
  disk: mark('Disk', 'neutral', HardDrive),
  other: mark('File', 'neutral', Box),
};
