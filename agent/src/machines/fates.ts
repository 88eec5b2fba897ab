// SPDX-License-Identifier: Apache-2.0
/**
 * What a live update does to each descriptor of a machine, and why. If the kernel answered, its answer counts;
 * otherwise the rule for the kind of file does. The rules hold for Linux 7.3, which has one handler, for memfds and
 * unlinked tmpfs files (`mm/memfd_luo.c`). They also assume a VMM that can save a machine's state and load it again.
 */
import { whySealed } from '../host/seals.ts';
import type { Fate, FateSource, MachineFile } from '../interface/agent.generated.ts';
import type { KernelAnswer } from './kernel-answers.ts';
import type { OpenFile } from './open-files.ts';

export interface FateFacts {
  /** What the kernel said of this kind; null if it was not asked. */
  readonly answer: KernelAnswer | null;
  /** Seals of a memory file as `F_GET_SEALS` gives them; null if not known. */
  readonly seals: number | null;
  /** Where it is preserved already, or null. */
  readonly place: { readonly session: string; readonly token: string } | null;
  readonly guestMemory: boolean;
  /** Whether the VMM is one that saves a machine's state and loads it again. */
  readonly savesState: boolean;
  /** Whether the VMM's command line names the file. */
  readonly onCommandLine: boolean;
  /** What the driver of a device says it needs, and the machine does not have. */
  readonly unmet: readonly string[];
}

export interface FateFound {
  readonly fate: Fate;
  readonly reason: string;
  readonly source: FateSource;
  readonly errno: string | null;
}

/** Seals that the handler hands over: all that Linux 7.3 has (`include/uapi/linux/fcntl.h`). */
const knownSeals = 0x3f;

type Ruling = readonly [Fate, string];

export function fateOf(file: OpenFile, facts: FateFacts): FateFound {
  const { answer, place } = facts;
  // What is preserved already comes back sealed as well.
  if (place !== null && sealedFate(facts) === null) {
    const reason = `already preserved in session ${place.session} under token ${place.token}`;
    return { fate: 'preservable', reason, source: 'kernel', errno: null };
  }
  const isMemory = file.kind === 'memfd' || file.kind === 'tmpfs_unlinked';
  // One handler takes both, and looks at the file: its kind alone does not settle it.
  const [fate, reason] = isMemory ? memoryFate(file, facts) : (acceptedFate(answer) ?? ruleFor(file, facts));
  if (answer === null) return { fate, reason, source: 'rule', errno: null };
  const said = answer.accepts
    ? 'the kernel has a handler for it'
    : `the kernel has no handler for it (${answer.errno})`;
  return { fate, reason: `${said}; ${reason}`, source: 'kernel', errno: answer.errno };
}

function acceptedFate(answer: KernelAnswer | null): Ruling | null {
  return answer?.accepts ? ['preservable', 'it preserved a file of this kind in a trial'] : null;
}

function memoryFate(file: OpenFile, facts: FateFacts): Ruling {
  const { answer, seals, guestMemory, savesState } = facts;
  if (answer !== null && !answer.accepts) return saved(savesState, 'its contents');
  if (seals !== null && (seals & ~knownSeals) !== 0)
    return ['blocks', `it has seals that the kernel does not hand over (0x${seals.toString(16)})`];
  const sealed = sealedFate(facts);
  if (sealed !== null) return sealed;
  const { mapped } = file;
  if (guestMemory && mapped !== null && mapped.shared === 0 && mapped.private > 0) {
    const without = 'it is mapped privately (share=off), so what the guest wrote is not in it';
    return savesState
      ? ['rebuilt', `${without}; the VMM saves its memory with its state`]
      : ['lost', without];
  }
  const how = 'the kernel keeps its pages, size and seals in place';
  if (file.fd === null)
    return ['preservable', `${how}; the VMM has it mapped and holds no descriptor of it any more`];
  return ['preservable', how];
}

/** What becomes of a file that would come back sealed against writing; null of any other. */
function sealedFate({ seals, guestMemory, savesState }: FateFacts): Ruling | null {
  const why = seals === null ? null : whySealed(seals);
  if (why === null) return null;
  return guestMemory && savesState
    ? ['rebuilt', `${why}; the VMM saves its memory with its state`]
    : ['lost', why];
}

function saved(savesState: boolean, what: string): Ruling {
  return savesState
    ? ['rebuilt', `the VMM saves ${what} with its state and rebuilds it from that`]
    : ['lost', `this VMM is not known to save ${what}`];
}

type Rule = (file: OpenFile, facts: FateFacts) => Ruling;

const again = (text: string): Rule => {
  return () => ['rebuilt', text];
};

const rules: Readonly<Record<Exclude<MachineFile, 'memfd' | 'tmpfs_unlinked'>, Rule>> = {
  tmpfs_linked: (_file, { guestMemory, onCommandLine }) => {
    if (guestMemory)
      return ['blocks', 'guest memory in a tmpfs file that has a name; only unlinked ones are preserved'];
    if (onCommandLine) return ['blocks', 'a file of the machine on tmpfs, which does not outlive the kernel'];
    return ['lost', 'tmpfs does not outlive the kernel'];
  },
  hugetlb: (_file, { guestMemory, savesState }) =>
    guestMemory ? saved(savesState, 'this memory') : ['lost', 'huge pages are not carried over'],
  guest_memfd: () => [
    'blocks',
    'memory private to the guest; Linux 7.3 has no handler for it, and the VMM cannot read it to save it',
  ],
  kvm: again('the VMM opens it again'),
  kvm_vm: (_file, { savesState }) => saved(savesState, 'the virtual machine'),
  kvm_vcpu: (_file, { savesState }) => saved(savesState, 'the CPU’s registers'),
  kvm_stats: again('statistics; they start from zero with the new virtual machine'),
  kvm_device: (_file, { savesState }) => saved(savesState, 'the state of this device in the kernel'),
  vfio_device: () => [
    'blocks',
    'a host device that the guest uses; the kernel was not asked, because preserving it would stop it',
  ],
  vfio_group: () => ['lost', 'access to a host device; it ends with the kernel'],
  vfio_container: () => ['lost', 'mappings for host devices; they end with the kernel'],
  iommufd: () => [
    'lost',
    'mappings for host devices; the kernel was not asked, because they depend on the memory',
  ],
  vhost: again('the VMM opens it again and sets up its queues from the saved state'),
  tap: again(
    'the VMM, or the program that started it, opens the interface again; packets in flight are lost',
  ),
  eventfd: again('it carries signals only; the VMM makes a new one'),
  socket: (file) =>
    file.name.startsWith('listening')
      ? ['rebuilt', 'the VMM listens there again']
      : ['lost', 'the connection ends with the kernel; the other end must connect again'],
  disk: (file) =>
    file.name.endsWith(' (deleted)')
      ? ['lost', 'its name was removed, so nobody can open it again']
      : ['rebuilt', 'the VMM opens it again by its path; what was written is on disk once it is synced'],
  device: ({ stated }, { unmet }) => {
    if (stated === null) return ['rebuilt', 'the VMM opens it again by its path'];
    const handed = 'its driver says in sysfs what it needs, so it hands the device over';
    if (unmet.length > 0)
      return ['blocks', `${handed}; it needs ${unmet.join(' and ')}, which the machine does not have open`];
    const needs = stated.needs.length === 0 ? 'nothing' : stated.needs.join(' and ');
    return ['preservable', `${handed}; it needs ${needs}`];
  },
};

function ruleFor(file: OpenFile, facts: FateFacts): Ruling {
  const { kind } = file;
  return kind === 'memfd' || kind === 'tmpfs_unlinked' ? memoryFate(file, facts) : rules[kind](file, facts);
}
