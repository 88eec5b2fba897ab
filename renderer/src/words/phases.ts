// SPDX-License-Identifier: Apache-2.0
/** The phases of an update: their order, words and marks, and how an update can end. */
import ArchiveRestore from '@lucide/svelte/icons/archive-restore';
import CircleCheck from '@lucide/svelte/icons/circle-check';
import Flag from '@lucide/svelte/icons/flag';
import PackageCheck from '@lucide/svelte/icons/package-check';
import Pause from '@lucide/svelte/icons/pause';
import Play from '@lucide/svelte/icons/play';
import Power from '@lucide/svelte/icons/power';
import ShieldCheck from '@lucide/svelte/icons/shield-check';
import Zap from '@lucide/svelte/icons/zap';
import type { Outcome, Phase } from '@luo-console/agent/interface';
import { duration } from '../format/quantity.ts';
import { type Mark, mark } from './states.ts';

/** The phases in the order in which a live update goes through them, after `normal`. */
export const updatePhases: readonly Phase[] = [
  'preserving',
  'prepared',
  'suspending',
  'kexec',
  'booting',
  'retrieving',
  'resuming',
  'finishing',
];

/** Whether an update reaches `phase` only after `other`. `normal` comes before all. */
export function isLater(phase: Phase, other: Phase): boolean {
  return updatePhases.indexOf(phase) > updatePhases.indexOf(other);
}

export const phaseMarks: Record<Phase, Mark> = {
  normal: mark('Normal', 'good', CircleCheck),
  preserving: mark('Preserving', 'busy', ShieldCheck),
  prepared: mark('Prepared', 'busy', PackageCheck),
  suspending: mark('Suspending', 'busy', Pause),
  kexec: mark('Kexec', 'busy', Zap),
  booting: mark('Booting', 'busy', Power),
  retrieving: mark('Retrieving', 'busy', ArchiveRestore),
  resuming: mark('Resuming', 'busy', Play),
  finishing: mark('Finishing', 'busy', Flag),
};

export const outcomeWords: Record<Outcome, string> = {
  updated: 'The host runs the new kernel, and its sessions were carried over.',
  cold_boot: 'The host started without a handover. What was preserved in memory is lost.',
  returned:
    'The reboot call came back with an error. The host still runs the old kernel and nothing is lost.',
  aborted:
    'The update was aborted before the kernel was started. The host still runs the old kernel and nothing is lost.',
  unknown: 'The agent could not tell how the live update ended. Look at the journal and the serial console.',
};

const hostBlackout =
  'No machine took part, so the blackout is the time the host itself was down: from the reboot call to the last session retrieved.';
const machinesBlackout =
  'The blackout is the time in which machines were stopped: from the first one that stopped until the last one ran again.';

/** What the blackout of a live update is. @param machines how many were carried over */
export function blackoutWords(machines: number): string {
  return machines === 0 ? hostBlackout : machinesBlackout;
}

/** What the next kernel's own boot took time for. */
export const bootWords = {
  /** Beside the row of the timeline. */
  row: 'Kernel boot',
  length: (us: number) => `${duration(us)}, by its log`,
  title: 'What the kernel’s own boot took time for',
  region: 'The kernel’s own boot, by its log',
  table: 'Stretches of the kernel’s boot',
  letter: 'Letter in the timeline',
  what: 'What',
  after: 'After',
  afterTitle: 'Since that kernel started',
  took: 'How long',
  note: '“After” counts from the start of that kernel. The times are from its log, until it started the first process.',
} as const;
