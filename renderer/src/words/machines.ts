// SPDX-License-Identifier: Apache-2.0
/**
 * The words for machines: what the agent's enumerations about them mean, and the texts of what is done with them.
 */
import type {
  BlackoutPart,
  BlackoutSpread,
  FailurePolicy,
  FateSource,
  HeldName,
  Machine,
  MachineFile,
  MonitorState,
  NameKind,
  Rehearsal,
  Way,
} from '@luo-console/agent/interface';
import { age, counted, duration, size } from '../format/quantity.ts';

export const fileWords: Record<MachineFile, string> = {
  memfd: 'memfd',
  tmpfs_unlinked: 'tmpfs, unlinked',
  tmpfs_linked: 'tmpfs, linked',
  hugetlb: 'hugetlb',
  guest_memfd: 'guest_memfd',
  kvm: 'KVM',
  kvm_vm: 'kvm-vm',
  kvm_vcpu: 'kvm-vcpu',
  kvm_stats: 'kvm-stats',
  kvm_device: 'KVM device',
  vfio_device: 'VFIO device',
  vfio_group: 'VFIO group',
  vfio_container: 'VFIO container',
  iommufd: 'iommufd',
  vhost: 'vhost',
  tap: 'tap',
  eventfd: 'eventfd',
  socket: 'socket',
  disk: 'disk',
  device: 'device',
};

/** What the ways are called. Why it is this one, and what it does, the agent says of each machine. */
export const wayWords: Record<Way, string> = {
  cpr: 'cpr-transfer',
  named_memory: 'named memory',
  whole_state: 'whole state',
  none: 'none',
};

export const fateSourceWords: Record<FateSource, string> = {
  kernel: 'the kernel was asked',
  rule: 'by its kind',
};

export const monitorWords: Record<MonitorState, string> = {
  answered: 'answers',
  busy: 'is in use, and accepts one client',
  silent: 'does not answer',
  malformed: 'gives an answer that cannot be read',
  unreachable: 'cannot be reached',
  none: 'has none',
};

export interface PolicyWords {
  name: string;
  /** What happens, in a sentence. */
  text: string;
}

export const policyWords: Record<FailurePolicy, PolicyWords> = {
  stop: { name: 'Stop', text: 'The update is aborted, and every machine runs on.' },
  leave: {
    name: 'Leave it behind',
    text: 'The update goes on without the machine, which ends with the old kernel.',
  },
};

/** What the parts of a blackout are called, in their order. */
export const partWords: Record<BlackoutPart, string> = {
  save: 'Save',
  kexec: 'Kexec',
  boot: 'Kernel boot',
  userspace: 'Userspace start',
  retrieve: 'Retrieve',
  start: 'VMM start',
  load: 'Load',
  resume: 'Resume',
};

export const blackoutParts = Object.keys(partWords) as BlackoutPart[];

/** VMM and version: `QEMU 11.1.0`. */
export function vmmWords({ vmm, version }: Pick<Machine, 'vmm' | 'version'>): string {
  return version === null ? vmm : `${vmm} ${version}`;
}

/** How long a machine's own parts of the blackout should take. */
export function expectedWords(us: number | null): string {
  return us === null
    ? 'not known'
    : `about ${duration(us)} or more, plus the time the kernel takes to boot (estimate)`;
}

/** How a machine is started after a live update. */
export const nextWords = {
  waits: (need: string) => `The carrier waits for ${need}.`,
  atOnce: 'The carrier starts it at once: it needs nothing that comes late.',
  byAgent: (obstacle: string) => `The agent starts it, not the carrier: ${obstacle.replace(/\.$/, '')}.`,
} as const;
/** The blackouts of the machines of an update: of the first to run again, their mean, and of the last. */
export const spreadWords = ({ firstUs, meanUs, worstUs }: BlackoutSpread): string =>
  `first ${duration(firstUs)}, mean ${duration(meanUs)}, worst ${duration(worstUs)}`;

/** When each instruction of a resume program was done. */
export const instructionWords = {
  summary: (name: string, number: number) => `Each instruction of ${name} (${number})`,
  region: (name: string) => `When each instruction of ${name} was done`,
  table: (name: string) => `Instructions of ${name}`,
  done: 'Done after',
  doneTitle: 'Since the first machine was stopped',
  what: 'Instruction',
  times: 'Times',
  note: '“Done after” counts from the moment the first machine was stopped, and is of the last one where it was done several times.',
} as const;

export const adoptWords = {
  adopted: (name: string) => `${name} adopted`,
  /** @param part how far one of its memory files is, from 0 to 1; null if that is not known */
  adopting: (name: string, part: number | null) =>
    `Adopting ${name}${part === null ? '' : `: putting its memory into huge pages, ${Math.floor(part * 100)} %`}`,
  /** What an adopted machine is for. */
  carried: 'Live updates carry it over.',
  unchanged: 'It is not restarted, and the way it was started stays as it is.',
  preserved: 'Its memory is preserved from now on. Future updates will carry the machine over.',
  /** @param memory in bytes; null if it is not known */
  allocated: (memory: number | null) =>
    `All of its memory${memory === null ? '' : ` (${size(memory)})`} is allocated, including pages the guest has never used.`,
  way: (way: Way, reason: string) => `It is carried over by ${wayWords[way]}: ${reason.replace(/\.$/, '')}.`,
  unlinks: (files: number) => `${counted(files, 'file')} will be unlinked`,
  unlinkReason:
    'The kernel preserves only files that have no name. Each name then becomes a symbolic link to the VMM’s descriptor.',
  unlinkAfter: 'A program that opens the name gets the same memory, for as long as the VMM runs.',
  consent: (files: number) => `Unlink ${files === 1 ? 'this file' : 'these files'}`,
  priorityHint:
    '0 to 100. An update starts machines with a higher priority first. If empty: as its definition says, or 0.',
  wrongPriority: 'The priority is a whole number from 0 to 100.',
  failed: (name: string) => `${name} was not adopted`,
} as const;

export const releaseWords = {
  released: (name: string) => `${name} released`,
  notCarried: 'Live updates no longer carry it over.',
  unchanged: 'The machine keeps running; nothing in it changes.',
  closed: (session: string) => `Its session ${session} is closed, and its memory is no longer preserved.`,
  ends: 'The next update will not carry it over: it will end with the old kernel, unless you adopt it again first.',
  failed: (name: string) => `${name} was not released`,
} as const;

export const rehearseWords = {
  title: (name: string) => `Rehearse ${name}`,
  doing: (name: string) => `Rehearsing ${name}`,
  failed: (name: string) => `${name} was not rehearsed`,
  what: 'The VMM that would take it over is started beside it, in this kernel, and is ended again.',
  stops:
    'Where its state can be loaded too, its guest is stopped for some milliseconds. Its memory, disks and network are not touched.',
  none: 'not yet',
  passed: (name: string) => `${name} would come back`,
  wouldFail: (name: string) => `${name} would not come back`,
} as const;

/**
 * How a rehearsal went, for example `rehearsed 3 minutes ago: would start in 0.6 s, load in 40 ms`.
 *
 * @param nowUs µs since the epoch
 */
export function rehearsalWords(rehearsal: Rehearsal, nowUs: number): string {
  const { atUs, problem, startUs, loadUs, left, changed } = rehearsal;
  if (problem === null && startUs === null) return `not rehearsed: ${left.join('; ')}`;
  const passedUs = nowUs - atUs;
  const when = `rehearsed ${passedUs < 1_000_000 ? 'just now' : `${age(passedUs)} ago`}`;
  const without = left.length === 0 ? '' : `; not rehearsed: ${left.join('; ')}`;
  const since = changed.length === 0 ? '' : `${changed.join(', ')} changed since`;
  if (problem !== null) return `${when}, and failed: ${problem}${since === '' ? '' : `; ${since}`}${without}`;
  if (since !== '') return `${when}, which does not count any more: ${since}`;
  const load = loadUs === null ? '' : `, load in ${duration(loadUs)}`;
  return `${when}: would start in ${duration(startUs ?? 0)}${load}${without}`;
}

export const heldWords = {
  /** What held means. A machine that cannot be tried again may have been told to run, and then nobody knows. */
  kept: (session: string, retriable: boolean) =>
    `${retriable ? 'It does not run. ' : ''}Its memory and its state are kept in session ${session}.`,
  mayRun: 'Its VMM may still be running. Look for it on the host before you give the machine up.',
  unusable: 'It cannot be tried again',
  first: (name: string) => `${name} is held. Try it again, or give it up first.`,
  session: 'Show in Sessions',
  show: (name: string) => `Show ${name} in Machines`,
  /** What can be done there. */
  next: 'Try it again or give it up there.',
} as const;

/** What a held machine has a name for. */
export const nameKindWords: Readonly<Record<NameKind, string>> = {
  disk: 'Disk',
  socket: 'Socket on which its VMM listens',
  output: 'File that its VMM writes',
  file: 'File',
  bridge: 'Bridge',
  tap: 'Tap',
};

/** Names on the command line of a held machine, which another attempt may replace. */
export const nameWords = {
  title: 'Paths and interfaces on its command line',
  /** Above the fields. */
  change: 'If something has moved or has another name now, say so here.',
  label: ({ name, kind }: HeldName) => `${nameKindWords[kind]} ${name}`,
  option: (option: string) => `in ${option}`,
  wrong: (kind: NameKind) =>
    kind === 'bridge' || kind === 'tap'
      ? 'Expected the name of a network interface.'
      : 'Expected an absolute path.',
  disk: 'The size and the contents of the disk are not checked',
  diskWhy:
    'The agent checks that it is there and of the same kind. The guest goes on with what it knows of the old disk, so another disk’s contents would be damaged.',
} as const;

export const retryWords = {
  title: (name: string) => `Try ${name} again`,
  doing: (name: string) => `Starting ${name}`,
  starts: (way: Way) => `The agent starts its VMM with its memory and its state (${wayWords[way]}).`,
  goesOn: 'It goes on where it was stopped, and is adopted.',
  takes: 'This can take up to a minute.',
  stays: 'If it does not start, it stays held.',
  runs: (name: string) => `${name} runs again`,
  failed: (name: string) => `${name} was not started again`,
} as const;

export const abandonWords = {
  title: (name: string) => `Give up ${name}`,
  doing: (name: string) => `Giving up ${name}`,
  /** @param bytes that its session keeps */
  loses: (bytes: number) => `Its memory and its state, ${size(bytes)} in all, are lost for good`,
  noReturn: (name: string) => `No later attempt can make ${name} go on where it was stopped.`,
  closed: (session: string) => `Session ${session} is closed, and what it keeps is freed.`,
  disks: 'Its disks are left as they were when it was stopped, as after a power cut.',
  done: (name: string) => `${name} was given up`,
  freed: (session: string) => `Session ${session} is closed.`,
  failed: (name: string) => `${name} was not given up`,
} as const;

export const definitionWords = {
  service:
    'The agent starts it in a systemd service, so it keeps running when the agent restarts. It is adopted at once, so live updates carry it over.',
} as const;

export const orderWords = {
  empty: 'Nothing depends on anything: there are no machines and no files of machines.',
  circle:
    'These depend on each other in a circle, so no order is possible. Remove one dependency, or leave the machine behind.',
  legend:
    'They are preserved and restored in the order of their numbers, and undone in reverse. An arrow leads from the node that goes first to the one that needs it.',
} as const;
