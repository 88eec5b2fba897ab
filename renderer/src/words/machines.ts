// SPDX-License-Identifier: Apache-2.0
// What the agent's enumerations about machines mean, in plain words.
import type {
  BlackoutPart,
  FailurePolicy,
  FateSource,
  Machine,
  MachineFile,
  MonitorState,
  Way,
} from '@luo-console/agent/interface';
import { duration } from '../format/quantity.ts';

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
  kernel: 'asked of the kernel',
  rule: 'by its kind',
};

export const monitorWords: Record<MonitorState, string> = {
  answered: 'answers',
  busy: 'is used by somebody else, and admits one client',
  silent: 'does not answer',
  malformed: 'answers what cannot be understood',
  unreachable: 'cannot be reached',
  none: 'has none',
};

export interface PolicyWords {
  name: string;
  /** What happens, in a sentence. */
  text: string;
}

export const policyWords: Record<FailurePolicy, PolicyWords> = {
  stop: { name: 'Stop', text: 'The live update is called off, and every machine runs on.' },
  leave: { name: 'Leave it behind', text: 'The live update goes on without the machine, which ends it.' },
};

/** The parts of a blackout, in their order. */
export const blackoutParts: readonly BlackoutPart[] = [
  'save',
  'kexec',
  'boot',
  'userspace',
  'retrieve',
  'start',
  'load',
  'resume',
];

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

/** VMM and version: `QEMU 11.1.0`. */
export function vmmWords({ vmm, version }: Pick<Machine, 'vmm' | 'version'>): string {
  return version === null ? vmm : `${vmm} ${version}`;
}

/** How long a machine's own parts of the blackout should take. */
export function expectedWords(us: number | null): string {
  return us === null
    ? 'not known'
    : `at least ${duration(us)} of its own by a rule of thumb, and the kernel’s part`;
}
